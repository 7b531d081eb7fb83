"""The first page: a win within ten minutes, in plain words, and ways on from there."""

import re
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
CELLS = nbformat.read(FOLDER / "00_start_here.ipynb", as_version=4).cells
CODE = [cell for cell in CELLS if cell.cell_type == "code"]
TEXT = [cell.source for cell in CELLS if cell.cell_type == "markdown"]


def section(heading: str) -> str:
    """The text below a heading, up to the next one."""
    (found,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", "\n".join(TEXT), re.M | re.S)
    return found.strip()


def test_it_begins_with_why_in_two_sentences():
    why = section("Why should I care?").split("\n\n")[0]
    assert len(re.findall(r"[.?!](?=\s|$)", why)) == 2
    assert "Nothing leaves your machine" in section("Why should I care?")


def test_the_first_pictures_are_trained_on_within_four_short_cells():
    assert len(CODE[0].source.splitlines()) <= 8
    assert any("teach.train()" in cell.source for cell in CODE[:4])
    assert max(len(cell.source.splitlines()) for cell in CODE) <= 8


def test_one_line_is_there_to_be_changed():
    lines = [line for cell in CODE for line in cell.source.splitlines() if "change this line" in line]
    assert len(lines) == 1 and re.match(r"\w+ = \d+ ", lines[0])


def test_three_steps_to_try_and_a_widget_of_ones_own():
    assert re.findall(r"^(\d)\. \*\*", section("Your turn"), re.M) == ["1", "2", "3"]
    assert "Upload" in section("Your turn"), "there may be no camera"
    assert sum("Teach(" in cell.source for cell in CODE) == 2


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", "\n".join(TEXT)))
def test_every_link_leads_somewhere(link):
    assert (FOLDER / link).is_file()


def test_it_ends_with_ways_on():
    assert CELLS[-1].source.startswith("## Where next")
    for place in ("(01_theory.ipynb)", "(../README.md)", "(../docs/"):
        assert place in CELLS[-1].source
