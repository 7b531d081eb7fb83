"""Which exercises a page has, and where a handed-in page asks for their checks."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

from labutils.runtime.files import PROJECT

CHECK = re.compile(r"\bcheck\.(\w+)\(")


@dataclass(frozen=True)
class Page:
    """A page of the lab.

    Parameters
    ----------
    stem : str
        File name without its ending, such as "03_partial_finetuning".
    module : str
        Of ``labutils.course.exercises``: the one that the page imports as ``check``.
    exercises : dict
        From the name of a check to the arguments that the page calls it with, as source code.
    cells : dict
        From the id of a cell to the exercises that it checks.
    """

    stem: str
    module: str
    exercises: dict[str, list[str]]
    cells: dict[str, list[str]]


@dataclass(frozen=True)
class Step:
    """A part of a cell: code to run, then the check to ask, if any, and what to ask it about."""

    code: str
    check: str | None = None
    arguments: tuple[str, ...] = ()


def pages(folder: Path = PROJECT / "notebooks") -> dict[str, Page]:
    """All pages of ``folder`` that have exercises, by their stems."""
    found = {path.stem: _page(path) for path in sorted(folder.glob("*.ipynb"))}
    return {stem: page for stem, page in found.items() if page.exercises}


def imported_checks(notebook: nbformat.NotebookNode) -> str | None:
    """Name of the module that a notebook imports as ``check``."""
    sources = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    match = re.search(r"^from labutils\.course\.exercises import (\w+) as check$", sources, re.M)
    return match and match.group(1)


def _page(path: Path) -> Page:
    notebook = nbformat.read(path, as_version=4)
    exercises, cells = {}, {}
    for cell in notebook.cells:
        if cell.cell_type == "code" and CHECK.search(cell.source):
            calls = {step.check: list(step.arguments) for step in _split(cell.source) if step.check}
            exercises |= calls
            cells[cell.id] = list(calls)
    return Page(path.stem, imported_checks(notebook) or "", exercises, cells)


def steps(cell: nbformat.NotebookNode, page: Page) -> list[Step]:
    """A student's cell in parts, each of which ends where an exercise of ``page`` is to be checked.

    The calls of checks are taken out. Of a call only the first argument, the answer, is the student's; the others are
    the page's.
    """
    asked = [name for name in CHECK.findall(cell.source) if name in page.exercises]
    try:
        parts = list(_split(cell.source)) if asked else []
    except SyntaxError:  # running the cell says so again
        parts = []
    if not any(step.check in page.exercises for step in parts):
        # The student removed the line with the check, or moved it into a block.
        names = asked or page.cells.get(cell.get("id"), [])
        return [Step(cell.source), *(Step("", name, tuple(page.exercises[name])) for name in names)]
    return [
        Step(step.code, step.check, (*step.arguments[:1], *page.exercises[step.check][1:]))
        if step.check in page.exercises
        else Step(step.code)
        for step in parts
    ]


def _split(source: str) -> Iterator[Step]:
    raw = (
        TransformerManager().transform_cell(source).encode()
    )  # of magics Python; columns of `ast` count bytes
    lines, done = raw.splitlines(keepends=True), 0

    def place(line: int, column: int) -> int:
        return sum(map(len, lines[: line - 1])) + column

    for node in ast.parse(raw).body:
        match node:
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="check"), attr=name)) as call):
                keywords = [f"{each.arg}={ast.unparse(each.value)}" for each in call.keywords]
                code = raw[done : place(node.lineno, node.col_offset)].decode()
                yield Step(code.lstrip(" ;"), name, (*map(ast.unparse, call.args), *keywords))
                done = place(node.end_lineno, node.end_col_offset)
    yield Step(raw[done:].decode().lstrip(" ;"))
