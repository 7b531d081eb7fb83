"""Copies for a class hold what is asked, and neither outputs nor solutions."""

import re

import nbformat
import pytest

from publishing.execute import PAGES
from publishing.student_copies import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("class")
        patch.setattr("sys.argv", ["student_copies", str(folder)])
        assert main() == 0
    return folder


def test_each_page_is_there_and_no_solution(folder):
    assert [path.name for path in sorted(folder.glob("**/*.ipynb"))] == [
        path.name for path in sorted(PAGES.glob("*.ipynb"))
    ]


def test_copies_are_the_pages_without_outputs(folder):
    for path in folder.glob("*.ipynb"):
        copy, page = (nbformat.read(each, as_version=4) for each in (path, PAGES / path.name))
        nbformat.validate(copy)
        for ours, theirs in zip(page.cells, copy.cells, strict=True):
            assert ours.id == theirs.id, "python -m labutils grade finds exercises by it"
            if ours.cell_type == "code":
                assert theirs.source == ours.source and not theirs.outputs and not theirs.execution_count
                assert "outputs_hidden" not in theirs.metadata.get("jupyter", {})


def test_every_link_of_a_copy_leads_somewhere(folder):
    files = list(folder.iterdir())
    assert len(files) > len(list(folder.glob("*.ipynb")))
    for path in files:
        for link in re.findall(r"\]\((?!https?:)([^)#]+\.(?:ipynb|md))", path.read_text()):
            assert (folder / link).exists(), (path.name, link)
