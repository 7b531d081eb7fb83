"""Peak memory of a command with all its processes, and what importing the lab adds to torch.

python benchmarks/memory.py                                  solution.py --quick
python benchmarks/memory.py -- python solution.py --outputs OUTPUTS

What the processes of the tree hold in memory is added up, looked at once a second. On Linux a page that several
processes share counts once in all (proportional set size); elsewhere once for each, so that the sum is an upper bound.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from provenance import provenance, save

ROOT = Path(__file__).resolve().parent.parent
IMPORTS = """
import torch, torchvision
from time import perf_counter
started = perf_counter()
import labutils
print(perf_counter() - started)
"""


def peak_memory(command: list[str], interval: float = 1.0) -> tuple[float, int, float]:
    """Run ``command`` to its end. Returns peak memory (GB), most processes at a time, and seconds.

    Raises
    ------
    CalledProcessError
        When the command fails: its peak would mean nothing.
    """
    peak, most, started = 0, 0, time.perf_counter()
    with psutil.Popen(command, cwd=ROOT) as process:
        while process.poll() is None:
            sizes = _held(process)
            peak, most = max(peak, sum(sizes)), max(most, len(sizes))
            time.sleep(interval)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return peak / 1e9, most, time.perf_counter() - started


def _held(process: psutil.Process) -> list[int]:
    """Bytes in memory of a process and of each of its descendants."""
    sizes = []
    for each in (process, *process.children(recursive=True)):
        try:
            held = each.memory_full_info() if psutil.LINUX else each.memory_info()
        except psutil.NoSuchProcess:  # ended between the list and the look
            continue
        sizes.append(held.pss if psutil.LINUX else held.rss)
    return sizes


def import_seconds(processes: int) -> float:
    """Least time of ``import labutils`` after torch and torchvision, over fresh processes."""
    command = [sys.executable, "-c", IMPORTS]
    return min(
        float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
        for _ in range(processes)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--imports", type=int, default=5, help="fresh processes to time the import in (5)")
    parser.add_argument("--quick", action="store_true", help="time the import only")
    parser.add_argument("command", nargs="*", help="after --; default python solution.py --quick")
    arguments = parser.parse_args()

    rows = [
        {"measured": "import labutils", "value": import_seconds(arguments.imports), "unit": "s", "aim": 2}
    ]
    if not arguments.quick:
        with tempfile.TemporaryDirectory() as outputs:
            default = [sys.executable, "solution.py", "--quick", "--outputs", outputs]
            peak, most, seconds = peak_memory(arguments.command or default)
        label = " ".join(arguments.command) or "python solution.py --quick"
        rows += [
            {"measured": f"peak memory, {label}", "value": peak, "unit": "GB", "aim": 3},
            {"measured": f"most processes, {label}", "value": most, "unit": ""},
            {"measured": f"wall time, {label}", "value": seconds, "unit": "s"},
        ]
    save("memory", rows, provenance(), keep=not arguments.quick, fresh_processes=arguments.imports)


if __name__ == "__main__":
    main()
