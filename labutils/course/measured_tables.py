"""Tables that took too long to make in class: read from the repository, with where their numbers come from."""

import textwrap

import pandas as pd

from labutils.runtime.files import PROJECT, read_json

FOLDER = PROJECT / "benchmarks" / "results"


def measured(name: str) -> pd.DataFrame:
    """A table of ``benchmarks/results``, made by ``benchmarks/measure.py``.

    Parameters
    ----------
    name : str
        File name without its ending, such as "surface".

    Returns
    -------
    DataFrame
        Tidy; accuracies from 0 to 1. ``provenance(name)`` says where it comes from.

    Raises
    ------
    FileNotFoundError
        For an unknown name; the message lists those there are.

    Examples
    --------
    >>> measured("surface").columns.tolist()[:3]
    ['trained_groups', 'lr_decay', 'seed']
    """
    path = FOLDER / f"{name}.csv"
    if not path.exists():
        there = sorted(each.stem for each in FOLDER.glob("*.csv"))
        raise FileNotFoundError(f"No measured table {name!r} in {FOLDER.name}; there are {', '.join(there)}")
    return pd.read_csv(path)


def provenance(name: str) -> str:
    """Lines for beside the table: what was measured, on which device, with which versions, commit, seeds, and when."""
    origin = _origin(name)
    described = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in origin["conditions"].items())
    seeds = origin["seeds"]
    commit = origin["commit"].replace("-dirty", " with uncommitted changes")
    text = (
        f"Measured beforehand, not in this notebook: {described}; seeds {seeds[0]} to {seeds[-1]}; {origin['device']}; "
        f"torch {origin['versions']['torch']}; commit {commit}; {origin['date']}."
    )
    return textwrap.fill(text, 100, break_on_hyphens=False)  # what JupyterLab shows without breaking a word


def conditions(name: str) -> dict:
    """What all rows of the table were measured with, such as the base rate."""
    return _origin(name)["conditions"]


def _origin(name: str) -> dict:
    origin = read_json(FOLDER / f"{name}.json")
    if origin is None:
        raise FileNotFoundError(
            f"benchmarks/results/{name}.json is missing: make the table again with benchmarks/measure.py {name}"
        )
    return origin
