"""Handed-in pages are found, taken apart at their checks, and run where they cannot reach the checks or the network."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from labutils.course.exercises import bug_clinic as check
from labutils.course.exercises.verdict import Verdict, recorded
from labutils.course.grading import in_kernel
from labutils.course.grading.hand_ins import find_hand_ins
from labutils.course.grading.pages import Page, pages, steps

PAGE = Page(
    "03_deep",
    "bug_clinic",
    {"case_1": ["answer"], "best": ["answer", "0.8", "costs=prices"]},
    {"the-cell": ["case_1"]},
)


def parts(source, **options):
    return [
        (step.code.strip(), step.check, step.arguments)
        for step in steps(new_code_cell(source, **options), PAGE)
    ]


def test_a_cell_is_cut_at_its_checks():
    assert parts("answer = 'A'\ncheck.case_1(answer)  # mine\nanswer = 2\ncheck.best(answer, 0.8)") == [
        ("answer = 'A'", "case_1", ("answer",)),
        ("# mine\nanswer = 2", "best", ("answer", "0.8", "costs=prices")),
        ("", None, ()),
    ]


def test_only_the_answer_is_the_students():
    assert parts("check.best(mine[0], 0.1, costs=free)")[0] == (
        "",
        "best",
        ("mine[0]", "0.8", "costs=prices"),
    )


@pytest.mark.parametrize(
    "source",
    ["if True:\n    check.case_1(mine)", "%%time\ncheck.case_1(mine)", "x = (\ncheck.case_1(mine)"],
    ids=["in a block", "under a magic", "no Python"],
)
def test_a_check_that_cannot_be_cut_out_is_asked_after_the_cell(source):
    assert parts(source) == [(source, None, ()), ("", "case_1", ("answer",))]


def test_a_check_of_no_exercise_is_left_out():
    assert parts("check.case_1(a)\ncheck.other(b)\nc = 1")[1:] == [("", None, ()), ("c = 1", None, ())]


def test_a_cell_without_its_check_is_known_by_its_id():
    assert parts("answer = 'A'", id="the-cell") == [("answer = 'A'", None, ()), ("", "case_1", ("answer",))]
    assert parts("answer = 'A'", id="another") == [("answer = 'A'", None, ())]


def test_semicolons_and_letters_beyond_ascii():
    assert parts("grün = 'A'; check.case_1(grün); x = 1") == [
        ("grün = 'A';", "case_1", ("grün",)),
        ("x = 1", None, ()),
    ]


def test_all_pages_of_the_lab_have_checks_that_exist():
    found = pages()
    assert len(found) >= 11
    for page in found.values():
        module = __import__(f"labutils.course.exercises.{page.module}", fromlist=["_"])
        assert page.exercises and all(callable(getattr(module, name)) for name in page.exercises)


@pytest.mark.parametrize(
    "path, student",
    [
        ("alice/03_deep.ipynb", "alice"),
        ("bob b/week 3/page03 final.ipynb", "bob b"),
        ("carl_03.ipynb", "carl"),
        ("03_deep-dora (1).ipynb", "dora (1)"),
        ("eve-mine.ipynb", "eve-mine"),
    ],
)
def test_student_and_page_are_found_by_name_or_imports(path, student, tmp_path):
    cell = new_code_cell("import os\nfrom labutils.course.exercises import bug_clinic as check")
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=[cell]), tmp_path / path)
    hand_ins, left_out = find_hand_ins(tmp_path, {PAGE.stem: PAGE})
    assert [(each.student, each.page) for each in hand_ins] == [(student, PAGE)] and not left_out


def test_what_is_left_out_is_named(tmp_path):
    for name in ("a/03.ipynb", "a/03 again.ipynb", "a/notes.ipynb", "a/.ipynb_checkpoints/03.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    hand_ins, left_out = find_hand_ins(tmp_path, {PAGE.stem: PAGE})
    assert len(hand_ins) == 1 and len(left_out) == 2
    with pytest.raises(ValueError, match="no notebook"):
        (tmp_path / "empty").mkdir()
        find_hand_ins(tmp_path / "empty", {})
    with pytest.raises(ValueError, match="not a folder"):
        find_hand_ins(tmp_path / "missing", {})


@pytest.fixture
def begun(monkeypatch):
    """The guard of sockets and the copy of the checks, undone after the test."""
    for owner, name in ((in_kernel.socket.socket, "connect"), (in_kernel.socket.socket, "connect_ex")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setattr(in_kernel.socket, "getaddrinfo", in_kernel.socket.getaddrinfo)
    monkeypatch.setattr(in_kernel, "_checks", None)
    in_kernel.begin("bug_clinic")


def test_a_page_that_changes_the_checks_changes_nothing(begun, monkeypatch, capsys):
    monkeypatch.setattr(check, "case_1", lambda answer: print("Right."))
    monkeypatch.setattr(check, "verdict", lambda *_: print("Right."))
    right, text = in_kernel.judge("case_1", "Z")
    assert right is False and text.startswith("Give one letter")
    assert in_kernel.judge("case_1", ...)[0] is None
    assert not capsys.readouterr().out


def test_verdicts_are_recorded_instead_of_printed(capsys):
    with recorded() as verdicts:
        check.case_1(...)
    assert verdicts == [Verdict(None, "put your answer in place of the dots.")]
    assert not capsys.readouterr().out
    check.case_1(...)
    assert capsys.readouterr().out == "Not answered yet: put your answer in place of the dots.\n"


@pytest.mark.parametrize("host", ["example.org", "93.184.216.34", "::ffff:93.184.216.34", b"example.org"])
def test_other_machines_are_out_of_reach(host, begun):
    for family in (in_kernel.socket.AF_INET, in_kernel.socket.AF_INET6):
        with in_kernel.socket.socket(family) as probe, pytest.raises(OSError, match="there is no network"):
            probe.connect((host, 80))
    with pytest.raises(OSError, match="there is no network"):
        in_kernel.socket.getaddrinfo(host, 80)


def test_this_machine_is_within_reach(begun):
    with in_kernel.socket.create_server(("127.0.0.1", 0)) as server:
        in_kernel.socket.create_connection(("localhost", server.getsockname()[1])).close()
