"""The plans for teachers fit the pages: their sections exist, their minutes add up, and no page is left out."""

import re

import nbformat
import pytest

from labutils.runtime.files import PROJECT

PAGES = sorted((PROJECT / "notebooks").glob("*.ipynb"))
PLANS = dict(
    re.findall(r"^## (\d\d) · (.*?)(?=^## |\Z)", (PROJECT / "docs/teaching.md").read_text(), re.M | re.S)
)


@pytest.fixture(params=PAGES, ids=lambda path: path.stem)
def page(request):
    return request.param


def plan(page) -> str:
    return PLANS[page.stem[:2]]


def headings(page) -> set[str]:
    texts = [cell.source for cell in nbformat.read(page, as_version=4).cells if cell.cell_type == "markdown"]
    return {title.strip() for text in texts for title in re.findall(r"^#{2,3} (.+)$", text, re.M)}


def test_every_section_of_a_plan_is_on_its_page(page):
    rows = [line for line in plan(page).splitlines() if line.startswith("| ") or line.startswith("|-")]
    named = {title for row in rows for title in re.findall(r"“([^”]+)”", row)}
    assert named and named <= headings(page), named - headings(page)


@pytest.mark.parametrize("column, minutes", [(1, 45), (2, 90)])
def test_minutes_add_up(page, column, minutes):
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in plan(page).splitlines()
        if line[:3] == "| “"
    ]
    assert sum(int(row[column]) for row in rows if row[column] != "–") == minutes


def test_every_plan_has_all_its_parts(page):
    for part in (
        "**Let them predict**",
        "**Where they stumble.**",
        "<details><summary>Quiz, with answers</summary>",
    ):
        assert part in plan(page)
    quiz = plan(page).split("<summary>Quiz")[1]
    assert 2 <= len(re.findall(r"^\d\. \*.+\?\*? ?.*\*", quiz, re.M)) <= 3
