"""Write copies of the pages for a class: no outputs, so that nobody reads an answer before predicting it, and no solutions.

python -m publishing.student_copies             into build/student
python -m publishing.student_copies FOLDER
"""

import re
import sys
from pathlib import Path

import nbformat

from labutils.runtime.files import PROJECT, atomic_write
from publishing.execute import PAGES

TO_LOOK_UP = ("glossary.md", "cheat_sheet.md")  # of docs/; pages link to them


def write_copies(folder: Path) -> list[Path]:
    """Write a copy of each page, and of what pages link to. Returns the pages' files."""
    written = []
    for path in sorted(PAGES.glob("*.ipynb")):
        with atomic_write(folder / path.name) as temporary:
            nbformat.write(blank(nbformat.read(path, as_version=4)), temporary)
        written.append(folder / path.name)
    for name in TO_LOOK_UP:
        with atomic_write(folder / name) as temporary:
            temporary.write_text(_beside((PAGES.parent / "docs" / name).read_text()))
    return written


def blank(page: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The page as it was before its first run, without a link to its solutions."""
    for cell in page.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.metadata.pop("jupyter", None)
        else:
            cell.source = _beside(re.sub(r"( · )?\[[^\]]*\]\(solutions/[^)]*\)", "", cell.source))
    return page


def _beside(text: str) -> str:
    """Links as they are where pages and what they link to lie in one folder."""
    return re.sub(r"\]\(\.\./(docs|notebooks)/", "](", text)


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "build" / "student"
    print(f"{len(write_copies(folder))} pages in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
