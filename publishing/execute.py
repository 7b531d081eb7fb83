"""Run the pages again, from top to bottom, and keep their outputs.

python -m publishing.execute             all pages
python -m publishing.execute 02_feature_extraction.ipynb
"""

import re
import sys
from pathlib import Path
from time import perf_counter

import nbformat
from nbclient import NotebookClient

from labutils.runtime.files import PROJECT, atomic_write
from publishing.kernels import quiet

PAGES = PROJECT / "notebooks"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
QUESTION = re.compile(r"^\*\*Predict\.\*\*", re.M)
CAPTION = re.compile(r"^\*\*Figure\.\*\*", re.M)


def run(page: nbformat.NotebookNode, folder: Path) -> float:
    """Run the cells in a new kernel and put their outputs into the page. Returns the seconds that they took."""
    client = NotebookClient(
        page,
        timeout=600,
        kernel_name="python3",
        record_timing=False,  # times of day would make every run a change
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    started = perf_counter()
    client.execute()
    return perf_counter() - started


def execute(path: Path) -> float:
    """Run one page in place and return the seconds it took; if a cell fails, the file stays as it was."""
    page = nbformat.read(path, as_version=4)
    seconds = run(page, path.parent)
    # No state of widgets, no version of Python: they differ from run to run and from machine to machine.
    page.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    hide_answers(page)
    with atomic_write(path) as temporary:
        nbformat.write(page, temporary)
    return seconds


def hide_answers(page: nbformat.NotebookNode) -> None:
    """Fold the outputs that answer a question to predict: JupyterLab shows them once their cell is run or opened.

    These are the cells after a "Predict.", up to the next words that are no caption.
    """
    asked = False
    for cell in page.cells:
        if cell.cell_type == "markdown":
            asked = bool(QUESTION.search(cell.source)) or asked and bool(CAPTION.search(cell.source))
        elif cell.cell_type == "code":
            folding = cell.metadata.get("jupyter", {})
            folding.pop("outputs_hidden", None)
            if asked and cell.outputs and not _is_for_the_reader(cell):
                folding["outputs_hidden"] = True
            if folding:
                cell.metadata["jupyter"] = folding
            else:
                cell.metadata.pop("jupyter", None)


def _is_for_the_reader(cell: nbformat.NotebookNode) -> bool:
    """Controls to move, or a box to write a prediction into."""
    return any("widget-view" in kind for output in cell.outputs for kind in output.get("data", {}))


def main() -> int:
    quiet()
    pages = [Path(name) for name in sys.argv[1:]] or sorted(
        path for path in PAGES.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts
    )
    for page in pages:
        page = page if page.exists() else PAGES / page
        print(f"{page.name}: {execute(page):.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
