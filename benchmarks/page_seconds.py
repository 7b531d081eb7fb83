"""How long the cells of each page take on this machine, one after the other; the table goes into docs/teaching.md, too.

python -m benchmarks.page_seconds [PAGE ...]

Each page is run in a kernel of its own with one computing thread, as the tests do, and nothing is kept of it. Rows of other machines
stay in the table, so that a fast and a slow one can stand side by side. Interrupted, the finished pages are in the table.
"""

import os
import platform
import re
import sys
from pathlib import Path

import nbformat
import pandas as pd

from benchmarks.provenance import RESULTS, provenance, save
from labutils.runtime.files import PROJECT, atomic_write
from publishing.execute import PAGES, run
from publishing.kernels import quiet

TABLE, PLANS = RESULTS / "page_seconds.csv", PROJECT / "docs" / "teaching.md"
KEYS = ["page", "machine"]


def main() -> int:
    quiet()
    for path in [PAGES / name for name in sys.argv[1:]] or sorted(PAGES.glob("*.ipynb")):
        seconds = run(nbformat.read(path, as_version=4), path.parent)
        row = {"page": path.stem, "machine": machine(), "seconds": round(seconds)}
        known = [pd.read_csv(TABLE)] if TABLE.exists() else []
        table = pd.concat([*known, pd.DataFrame([row])]).drop_duplicates(KEYS, keep="last").sort_values(KEYS)
        save("page_seconds", table, provenance(threads=1), last_measured=machine())
        with atomic_write(PLANS) as temporary:
            temporary.write_text(with_table(PLANS.read_text(), table))
    return 0


def machine() -> str:
    """Processor and cores, such as "AMD EPYC, 2 cores"."""
    models = re.findall(r"^model name\s*: (.+)$", _processors(), re.M)
    return f"{models[0] if models else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def _processors() -> str:
    file = Path("/proc/cpuinfo")
    return file.read_text() if file.exists() else ""


def with_table(text: str, table: pd.DataFrame) -> str:
    """The plans with a row a page and a column a machine between their two marks."""
    wide = table.pivot(index="page", columns="machine", values="seconds")
    shown = wide.rename_axis(columns=None).to_markdown(floatfmt=".0f", missingval="")
    marks = r"(<!-- seconds -->\n).*?(<!-- end of seconds -->)"
    return re.sub(marks, lambda found: f"{found[1]}{shown}\n{found[2]}", text, flags=re.S)


if __name__ == "__main__":
    sys.exit(main())
