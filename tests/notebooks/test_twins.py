"""Every page but the first has three exercises, and its twin in ``notebooks/solutions`` has the same ones, solved.

An exercise asks for a value, ``answer = ...``, or for a function, whose last line is then ``return ...``.
"""

import re
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
WITHOUT_EXERCISES = "00_start_here"  # its tests are in test_start_page.py
PAGES = sorted(path for path in FOLDER.glob("*.ipynb") if path.stem != WITHOUT_EXERCISES)


@pytest.fixture(params=PAGES, ids=lambda path: path.stem)
def twins(request):
    """The cells of page and twin from the heading of the exercises on, without the links at the end."""
    return tuple(exercises(path) for path in (request.param, FOLDER / "solutions" / request.param.name))


def exercises(path: Path) -> list:
    cells = [
        cell
        for cell in nbformat.read(path, as_version=4).cells
        if "links" not in cell.metadata.get("tags", [])
    ]
    places = [i for i, cell in enumerate(cells) if re.search(r"^## Exercises$", cell.source, re.M)]
    assert len(places) == 1, f"{path.name} needs one heading ## Exercises"
    heading = cells[places[0]]
    heading.source = heading.source[
        heading.source.index("## Exercises") :
    ]  # the take-away may stand above it
    return cells[places[0] :]


def check_line(cell) -> str:
    return cell.source.splitlines()[-1]


def asked(cell) -> str:
    """Name of what the exercise asks for: a function, or else the answer."""
    functions = re.findall(r"^def (\w+)\(", cell.source, re.M)
    return functions[0] if functions else "answer"


def shown(cell) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


def test_same_words_in_both(twins):
    page, twin = ([cell.source.strip() for cell in cells if cell.cell_type == "markdown"] for cells in twins)
    assert page == twin
    assert [line for text in page for line in re.findall(r"^### (\d)\. ", text, re.M)] == ["1", "2", "3"]
    assert sum(text.count("<details><summary>Hint</summary>") for text in page) == 3


def test_same_checks_in_both(twins):
    page, twin = ([cell for cell in cells if cell.cell_type == "code"] for cells in twins)
    assert len(page) == 3
    assert [check_line(cell) for cell in page] == [check_line(cell) for cell in twin]
    for cell in page:
        assert re.fullmatch(rf"check\.\w+\(.*\b{asked(cell)}\b.*\)", check_line(cell)), cell.source


def test_every_page_asks_for_a_function(twins):
    page, twin = ([asked(cell) for cell in cells if cell.cell_type == "code"] for cells in twins)
    assert page == twin
    assert set(page) != {"answer"}


def test_the_page_leaves_the_answer_open(twins):
    for cell in twins[0]:
        if cell.cell_type == "code":
            blank = "answer = ..." if asked(cell) == "answer" else "    return ...\n"
            assert blank in cell.source and shown(cell).startswith("Not answered yet")


def test_the_twin_is_right_and_folded_away(twins):
    for cell in twins[1]:
        if cell.cell_type == "code":
            assert shown(cell).startswith("Right. ")
            assert cell.metadata.get("jupyter", {}).get("source_hidden") is True
