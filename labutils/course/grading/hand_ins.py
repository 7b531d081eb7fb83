"""Find handed-in pages in a folder, and check the exercises of each."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import nbformat

from labutils.course.grading.kernel import CellError, KernelDied, started_kernel
from labutils.course.grading.pages import Page, imported_checks, steps

LONGEST = 300  # characters of an error that go into the table


@dataclass(frozen=True)
class Result:
    """What became of an exercise: "right", "not yet", "not attempted", "error", "timed out", "crashed" or "unreadable".

    ``detail`` is the hint that the student got, or the words of the error.
    """

    status: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.status}: {self.detail}" if self.detail else self.status


@dataclass(frozen=True, eq=False)
class HandIn:
    """A student's copy of a page."""

    student: str
    page: Page
    path: Path


def find_hand_ins(folder: str | Path, pages: dict[str, Page]) -> tuple[list[HandIn], dict[Path, str]]:
    """The notebooks below a folder, by students.

    ``folder/alice/03_partial_finetuning.ipynb``, ``folder/alice/week 2/page03.ipynb`` and ``folder/alice_03.ipynb`` are
    alice's copies of page 03. The page is found by its number in the name of the file, or else by what the notebook
    imports.

    Returns
    -------
    list of HandIn
        Sorted by student and page; of several copies of a page by a student the one that was changed last.
    dict from Path to str
        Notebooks that are left out, and why.

    Raises
    ------
    ValueError
        When the folder is none, or holds no notebook.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder")
    visible = (path.relative_to(folder) for path in folder.rglob("*.ipynb"))
    paths = [folder / path for path in visible if not any(part.startswith(".") for part in path.parts)]
    if not paths:
        raise ValueError(f"There is no notebook below {folder}: the hand-ins are files that end in .ipynb")
    newest, left_out = {}, {}
    for path in sorted(paths, key=lambda each: (each.stat().st_mtime, each)):
        page = _page_of(path, pages)
        if page is None:
            left_out[path] = "neither its name nor its imports say which page it is"
            continue
        hand_in = HandIn(_student(path.relative_to(folder), page), page, path)
        key = (hand_in.student, page.stem)
        if key in newest:
            left_out[newest[key].path] = f"{path.name} was changed later"
        newest[key] = hand_in
    return [newest[key] for key in sorted(newest)], left_out


def _page_of(path: Path, pages: dict[str, Page]) -> Page | None:
    numbers = {stem[:2]: page for stem, page in pages.items()}
    named = [numbers[number] for number in re.findall(r"(?<!\d)\d\d(?!\d)", path.stem) if number in numbers]
    if named:
        return named[0]
    notebook = _read(path)
    module = notebook and imported_checks(notebook)
    return next((page for page in pages.values() if page.module == module), None)


def _read(path: Path) -> nbformat.NotebookNode | None:
    """None for a file that is no notebook."""
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        return notebook
    except (OSError, ValueError, KeyError, AttributeError, TypeError, nbformat.ValidationError):
        return None


def _student(path: Path, page: Page) -> str:
    if len(path.parts) > 1:
        return path.parts[0]
    name = path.stem.replace(page.stem, "")
    name = re.sub(rf"(?i)(page|notebook|lab)?[ _-]*(?<!\d){page.stem[:2]}(?!\d)", "", name).strip(" _-.")
    return name or path.stem


def check_hand_in(hand_in: HandIn, seconds: float) -> dict[str, Result]:
    """Run a handed-in page from top to bottom, and check its exercises where they stand.

    Outputs that were handed in are not looked at. A cell that fails ends nothing but the exercise that it belongs to.

    Parameters
    ----------
    seconds : float
        For all cells and checks. Exercises that were checked before it are over keep their results.

    Returns
    -------
    dict from str to Result
        One for each exercise of the page, by the name of its check.
    """
    page, results = hand_in.page, {}
    notebook = _read(hand_in.path)
    if notebook is None:
        return _with_rest({}, page, Result("unreadable"))
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    try:
        with started_kernel() as kernel:
            kernel.run(f"__import__({_IN_KERNEL!r}, fromlist=['_']).begin({page.module!r})")
            kernel.give(seconds)
            for cell in cells:
                for name, result in _run(cell, page, kernel):
                    if result.status != "not attempted" or name not in results:
                        results[name] = result
    except TimeoutError:
        return _with_rest(results, page, Result("timed out"))
    except KernelDied:
        return _with_rest(results, page, Result("crashed"))
    return _with_rest(results, page, Result("not attempted"))


_IN_KERNEL = "labutils.course.grading.in_kernel"


def _run(cell: nbformat.NotebookNode, page: Page, kernel) -> Iterable[tuple[str, Result]]:
    failed = None
    for step in steps(cell, page):
        if failed is None:
            try:
                kernel.run(step.code)
            except CellError as error:
                failed = Result("error", _short(error))
        if step.check is None:
            continue
        yield step.check, failed or _judged(step.check, step.arguments, kernel)


def _judged(check: str, arguments: Iterable[str], kernel) -> Result:
    call = f"__import__({_IN_KERNEL!r}, fromlist=['_']).judge({', '.join((repr(check), *arguments))})"
    try:
        right, text = kernel.run("", call)
    except CellError as error:
        return Result("error", _short(error))
    if right is None:
        return Result("not attempted")
    return Result("right") if right else Result("not yet", text)


def _with_rest(results: dict[str, Result], page: Page, rest: Result) -> dict[str, Result]:
    return {name: results.get(name, rest) for name in page.exercises}


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:LONGEST]
