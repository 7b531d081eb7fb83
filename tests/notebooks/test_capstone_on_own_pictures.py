"""Page 10 on a folder of one's own: the one line that it says to change, all labels, and no word about solar cells."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

PAGE = Path(__file__).resolve().parents[2] / "notebooks" / "10_capstone_500_images.ipynb"
LINE = 'pictures = lab.load("solar", image_size=96)'
COLOURS = {"lily": (150, 90, 90), "rose": (120, 120, 90), "violet": (90, 120, 150)}


def write_flowers(root: Path) -> None:
    generator = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True)
        for number in range(24):
            pixels = generator.normal(colour, 40, (96, 96, 3)).clip(0, 255).astype("uint8")
            Image.fromarray(pixels).save(root / name / f"{number}.png")


@pytest.mark.slow
def test_one_line_changed(tmp_path, monkeypatch, capsys):
    write_flowers(tmp_path / "flowers")
    monkeypatch.setenv("LAB_PROGRESS", "off")
    monkeypatch.setattr("labutils.runtime.PROJECT", tmp_path)
    cells = nbformat.read(PAGE, as_version=4).cells
    end = next(i for i, cell in enumerate(cells) if cell.source.startswith("## Now your own pictures"))
    code = [cell.source for cell in cells[:end] if cell.cell_type == "code"]
    assert sum(LINE in source for source in code) == 1
    names = {"display": lambda *_: None}
    for source in code:
        exec(
            source.replace(LINE, f"pictures = lab.folder({str(tmp_path / 'flowers')!r}, image_size=32)"),
            names,
        )
        said = capsys.readouterr().out
        if not any(word in source for word in ("measured(", "curve", "gap", "tried", "table")):
            assert not re.search("solar|cell|defect", said), source
    assert len(names["few"].train) == len(names["pictures"].train) == 42, "all labels are used"
    assert names["path"].stat().st_size > 0
