"""``python -m labutils grade``: five hand-ins, of which four go wrong, leave a table with five rows."""

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from labutils.course.exercises.bug_clinic_cases import CASES
from labutils.course.grading.pages import pages
from labutils.headless import grade
from labutils.headless.command_line import main

IMPORT = "from labutils.course.exercises import bug_clinic as check"
STEM = "11_bug_clinic"
NAMES = ("case_5", "case_6")
MINUTES = "0.25"  # enough for cells that take no time, on a busy machine too; one hand-in waits for it


def write(path, *sources):
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [new_markdown_cell("# A page"), new_code_cell(IMPORT), *map(new_code_cell, sources)]
    nbformat.write(new_notebook(cells=cells), path)


def answered(*answers):
    return [f"answer = {answer}\ncheck.{name}(answer)" for name, answer in zip(NAMES, answers, strict=True)]


@pytest.fixture
def hand_ins(tmp_path, monkeypatch):
    write(tmp_path / "pages" / f"{STEM}.ipynb", *answered("...", "..."))
    monkeypatch.setattr(grade, "pages", lambda: pages(tmp_path / "pages"))
    right = [repr(CASES[number].right) for number in (5, 6)]
    folder = tmp_path / "hand-ins"
    write(folder / "all right" / f"{STEM}.ipynb", *answered(*right))
    write(
        folder / "hanging" / "11.ipynb",
        answered(right[0], "...")[0],
        "while True:\n    print('!' * 1000)",
        *answered(*right),
    )
    write(
        folder / "crashing" / "11.ipynb",
        answered(right[0], "...")[0],
        "import os\nos._exit(3)",
        *answered(*right),
    )
    faked = "check.case_5 = lambda answer: print('Right.')"
    online = (
        "import urllib.request\nanswer = urllib.request.urlopen('https://example.org')\ncheck.case_6(answer)"
    )
    write(folder / "wrong_11.ipynb", faked, answered("'Z'", "...")[0], online)
    (folder / "empty").mkdir()
    (folder / "empty" / f"{STEM}.ipynb").touch()
    return folder


@pytest.mark.slow
def test_each_goes_wrong_for_itself(hand_ins, capsys):
    assert main(["grade", str(hand_ins), "--minutes", MINUTES]) == 0
    table = pd.read_csv(hand_ins / "grades.csv", index_col="student").rename(
        columns=lambda name: name.split(": ")[-1]
    )
    assert table.columns.tolist() == ["right", *NAMES]
    assert table.right.to_dict() == {"all right": 2, "hanging": 1, "crashing": 1, "wrong": 0, "empty": 0}
    assert table.loc["all right", "case_6"] == "right"
    assert table.loc["hanging", "case_6"] == "timed out"
    assert table.loc["crashing", "case_6"] == "crashed"
    assert table.loc["wrong", "case_5"].startswith("not yet: Give one letter")
    assert (
        table.loc["wrong", "case_6"].startswith("error: URLError")
        and "no network" in table.loc["wrong", "case_6"]
    )
    assert table.loc["empty", "case_5"] == "unreadable"
    said = capsys.readouterr().out
    assert f"{STEM}: case_5: 3 of 5 right" in said and "1 × not yet: Give one letter" in said


def test_a_wrong_door_is_named(tmp_path, capsys):
    assert main(["grade", str(tmp_path / "nowhere")]) == 1
    assert "is not a folder" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()
