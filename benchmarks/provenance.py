"""Where a benchmark's numbers come from: written beside each table of results."""

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import torch

from labutils.runtime.files import atomic_write, write_json

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("torch", "torchvision", "timm", "transfer-learning-lab")


def provenance(device: str = "cpu", seeds: tuple[int, ...] = (0,), threads: int | None = None) -> dict:
    """Device, versions, commit, date, threads and seeds of a measurement that is made now.

    Parameters
    ----------
    device : str
        "cpu", "cuda" or "mps".
    seeds : tuple of int
    threads : int, optional
        Computing threads; default those of this process.
    """
    cores = os.cpu_count()
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else f"{device.upper()}, {cores} cores",
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "commit": _commit(),
        "date": date.today().isoformat(),
        "threads": threads or torch.get_num_threads(),
        "seeds": list(seeds),
    }


def save(
    name: str, rows: list[dict] | pd.DataFrame, origin: Mapping, *, keep: bool = True, **conditions
) -> None:
    """Print the table; unless it was a trial, write it and how it was measured to ``results/name.csv`` and ``.json``."""
    table = pd.DataFrame(rows)
    print(f"\n{table.to_string(index=False, float_format=lambda value: f'{value:.4g}')}")
    if not keep:
        print("A trial: not written")
        return
    with atomic_write(RESULTS / f"{name}.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    write_json(RESULTS / f"{name}.json", {**origin, "conditions": conditions})
    print(f"Written to benchmarks/results/{name}.csv and .json")


def _commit() -> str | None:
    """The commit, with "-dirty" when tracked files other than the tables differ from it; None outside a repository."""
    described = ["git", "describe", "--always", "--abbrev=12"]
    changed = ["git", "status", "--porcelain", "--untracked-files=no", "--", ":/", ":!/benchmarks/results"]
    try:
        commit, changes = (
            subprocess.run(
                command, cwd=RESULTS.parent, capture_output=True, text=True, check=True
            ).stdout.strip()
            for command in (described, changed)
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}-dirty" if changes else commit
