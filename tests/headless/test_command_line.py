"""``python -m labutils``: a folder in, a classifier with its page and answers out; one line where that cannot be."""

import pandas as pd
import pytest
from PIL import Image

from labutils.headless.command_line import main


@pytest.fixture
def pictures(tmp_path):
    for number, name in enumerate(("blue", "red")):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(16):
            color = (40 + 3 * i, 40, 200) if name == "blue" else (200, 40, 40 + 3 * i)
            Image.new("RGB", (48, 40), color).save(tmp_path / "pictures" / name / f"{number}{i}.png")
    return tmp_path / "pictures"


@pytest.mark.slow
def test_train_then_predict(pictures, tmp_path):
    network, answers = tmp_path / "colors.safetensors", tmp_path / "answers.csv"
    assert (
        main(["train", str(pictures), "--save", str(network), "--minutes", "0.1", "--image-size", "32"]) == 0
    )
    assert network.exists() and list(tmp_path.glob("*.html")), "a page lies beside it"
    assert main(["predict", str(network), str(pictures / "red"), "--csv", str(answers)]) == 0
    table = pd.read_csv(answers)
    assert len(table) == 16 and (table["class"] == "red").mean() > 0.9


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["train", "nowhere", "--save", "a.safetensors"], "nowhere"),
        (["predict", "nothing.safetensors", "nowhere"], "nothing.safetensors"),
    ],
)
def test_what_cannot_be_is_one_line(arguments, named, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) not in (0, None)
    said = capsys.readouterr().err
    assert named in said and "Traceback" not in said
