"""Contenders in turns, each in a process of its own that is kept: an interrupted benchmark goes on."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from benchmarks.peers.tasks import Job
from labutils.runtime.files import PROJECT, read_json, write_json

# Everybody computes on the CPU, whatever else there is.
SURROUNDINGS = {"CUDA_VISIBLE_DEVICES": "", "KERAS_BACKEND": "torch", "LAB_PROGRESS": "off"}


def in_a_process(jobs: Sequence[Job]) -> list[dict]:
    """What `measure` finds for each of the ``jobs``; what it printed is shown when it fails."""
    command = [sys.executable, "-m", "benchmarks.peers.measure", json.dumps([asdict(job) for job in jobs])]
    threads = {"OMP_NUM_THREADS": str(jobs[0].conditions.threads)}
    done = subprocess.run(
        command, cwd=PROJECT, env={**os.environ, **SURROUNDINGS, **threads}, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{jobs} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def take_turns(
    turns: Sequence[Sequence[Job]],
    folder: Path,
    commit: str | None,
    measure: Callable[[Sequence[Job]], list[dict]] = in_a_process,
) -> pd.DataFrame:
    """Do the turns in their order, each the jobs of one contender with one seed; finished ones are read from ``folder``.

    Returns
    -------
    DataFrame
        A row a job: task, contender, seed, rate, commit (of the code that was measured) and what was found.
    """
    rows = []
    for jobs in tqdm(turns, desc="Turns"):
        file, described = folder / f"{jobs[0].contender}-{jobs[0].seed}.json", [asdict(job) for job in jobs]
        kept = read_json(file)
        if kept is None or kept["jobs"] != described:
            kept = {"jobs": described, "commit": commit, "found": measure(jobs)}
            write_json(file, kept)
        for job, found in zip(described, kept["found"], strict=True):
            named = {name: job[name] for name in ("task", "contender", "seed", "rate")}
            rows.append({**named, "commit": kept["commit"], **found})
    return pd.DataFrame(rows)
