"""Run the pages again, from top to bottom, and keep their outputs.

python notebooks/execute.py             all pages
python notebooks/execute.py 02_feature_extraction.ipynb
"""

import sys
from pathlib import Path
from time import perf_counter

import conftest  # noqa: F401 (no progress bars, one thread: as in the tests)
import nbformat
from nbclient import NotebookClient

from labutils.runtime.files import atomic_write

HERE = Path(__file__).resolve().parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def execute(path: Path) -> float:
    """Run one page in place and return the seconds it took; if a cell fails, the file stays as it was."""
    page = nbformat.read(path, as_version=4)
    started = perf_counter()
    NotebookClient(
        page,
        timeout=600,
        kernel_name="python3",
        record_timing=False,  # times of day would make every run a change
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    seconds = perf_counter() - started
    # No state of widgets, no version of Python: they differ from run to run and from machine to machine.
    page.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    with atomic_write(path) as temporary:
        nbformat.write(page, temporary)
    return seconds


def main() -> int:
    pages = [Path(name) for name in sys.argv[1:]] or sorted(
        path for path in HERE.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts
    )
    for page in pages:
        page = page if page.exists() else HERE / page
        print(f"{page.name}: {execute(page):.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
