"""The tool that runs the pages with another seed: what it changes, and what it calls a claim."""

import importlib.util
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from labutils.files import PROJECT


@pytest.fixture(scope="module")
def other_seed():
    sys.path.insert(0, str(PROJECT / "notebooks"))
    try:
        spec = importlib.util.spec_from_file_location("other_seed", PROJECT / "notebooks" / "other_seed.py")
        spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    finally:
        sys.path.pop(0)
    return module


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("    seed: int = 0,\n", "    seed: int = 7,\n"),
        ("    seed: int = 0\n", "    seed: int = 7\n"),
        ("few = load('digits').labelled(300, seed=0)", "few = load('digits').labelled(300, seed=7)"),
        ("few = digits.labelled(300, 0)", "few = digits.labelled(300, 7)"),
        ("run(seeds=(0,), workers=1)", "run(seeds=(7,), workers=1)"),
        (r'"small = {\"seeds\": (0,), \"labels\": 100}"', r'"small = {\"seeds\": (7,), \"labels\": 100}"'),
        ("seed=1, epochs=0, seeds=(0, 1, 2)", "seed=1, epochs=0, seeds=(0, 1, 2)"),
    ],
)
def test_seeds_are_changed_and_nothing_else(other_seed, before, after):
    assert other_seed.reseeded(before, 7) == after


def test_every_page_names_a_seed_that_is_changed(other_seed, tmp_path):
    other_seed.copy_with(7, tmp_path)
    assert "seed: int = 7" in (tmp_path / "labutils" / "settings.py").read_text()
    assert "seed: int = 0" in (tmp_path / "labutils" / "domains" / "__init__.py").read_text(), (
        "the split stays"
    )
    for page in (tmp_path / "notebooks").glob("*.ipynb"):
        nbformat.read(page, as_version=4)  # still a page
    assert "seed=7" in (tmp_path / "notebooks" / "06_lr_finder.ipynb").read_text()


def test_claims_are_lines_that_end_in_true_or_false(other_seed):
    text = "accuracy 81.2% (measured)\nbeats it by 2 points: True\nnobody beats: rehearsal\nfell: False\n"
    page = new_notebook(
        cells=[
            new_code_cell("1", outputs=[new_output("stream", name="stdout", text=text)]),
            new_code_cell("2"),
        ]
    )
    assert other_seed.claims(page) == {"beats it by 2 points:": "True", "fell:": "False"}
