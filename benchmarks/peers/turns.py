"""Measurements one after the other, each in a process of its own and kept: an interrupted benchmark goes on."""

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
from labutils.files import PROJECT, read_json, write_json

# Everybody computes on the CPU, whatever else there is.
SURROUNDINGS = {"CUDA_VISIBLE_DEVICES": "", "KERAS_BACKEND": "torch", "LAB_PROGRESS": "off"}


def in_a_process(job: Job) -> dict:
    """What `measure` finds for ``job``; what it printed is shown when it fails."""
    command = [sys.executable, "-m", "benchmarks.peers.measure", json.dumps(asdict(job))]
    threads = {"OMP_NUM_THREADS": str(job.conditions.threads)}
    done = subprocess.run(
        command, cwd=PROJECT, env={**os.environ, **SURROUNDINGS, **threads}, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{job} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def take_turns(
    jobs: Sequence[Job], folder: Path, commit: str | None, measure: Callable[[Job], dict] = in_a_process
) -> pd.DataFrame:
    """Do the jobs in their order; those that are done already are read from ``folder``.

    Returns
    -------
    DataFrame
        A row a job: task, contender, seed, rate, commit (of the code that was measured) and what was found.
    """
    rows = []
    for job in tqdm(jobs, desc="Measurements"):
        file = folder / f"{job.scored}-{job.task}-{job.contender}-{job.rate:g}-{job.seed}.json"
        kept = read_json(file)
        if kept is None or kept["job"] != asdict(job):
            kept = {"job": asdict(job), "commit": commit, "found": measure(job)}
            write_json(file, kept)
        told = {name: kept["job"][name] for name in ("task", "contender", "seed", "rate")}
        rows.append({**told, "commit": kept["commit"], **kept["found"]})
    return pd.DataFrame(rows)
