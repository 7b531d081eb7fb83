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

TO_LOOK_UP = ("docs/glossary.md", "docs/cheat_sheet.md")  # pages link to them


def write_copies(folder: Path) -> list[Path]:
    """Write a copy of each page, and of what pages link to. Returns the pages' files."""
    written = []
    for path in sorted(PAGES.glob("*.ipynb")):
        with atomic_write(folder / path.name) as temporary:
            nbformat.write(blank(nbformat.read(path, as_version=4)), temporary)
        written.append(folder / path.name)
    for name in TO_LOOK_UP:
        with atomic_write(folder / Path(name).name) as temporary:
            temporary.write_text(_beside((PROJECT / name).read_text()))
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
    """Links as they are where pages and what they link to lie in one folder; other files of the lab become plain words."""
    known = "|".join(re.escape(name) for name in TO_LOOK_UP)
    text = re.sub(rf"\]\((?:\.\./)?(?:{known})", lambda found: f"]({found[0].rsplit('/')[-1]}", text)
    return re.sub(r"\[([^\]]*)\]\(\.\./[^)]*\)", r"\1", text)


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "build" / "student"
    print(f"{len(write_copies(folder))} pages in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
