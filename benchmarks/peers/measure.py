"""The jobs of one contender, in the process that `turns` starts for it: prints what it found as JSON on its last line."""

import json
import sys
from importlib import import_module

import torch

from benchmarks.peers.contenders import CONTENDERS
from benchmarks.peers.tasks import Bench, Conditions, Job


def measured(job: Job) -> dict:
    """Seconds of the work, and test accuracy or, of a range test, the losses."""
    torch.set_num_threads(job.conditions.threads)
    module, function = CONTENDERS[job.contender][job.task].split(".")
    contend, bench = getattr(import_module(f"benchmarks.peers.{module}"), function), Bench(job)
    done = contend(bench)
    found = {"seconds": bench.seconds, "cpu_seconds": bench.cpu_seconds}
    return found | ({"losses": done} if isinstance(done, list) else {"accuracy": bench.accuracy(done)})


def main() -> None:
    jobs_given = json.loads(sys.argv[1])
    jobs = [Job(**{**job, "conditions": Conditions(**job["conditions"])}) for job in jobs_given]
    print("\n" + json.dumps([measured(job) for job in jobs]))


if __name__ == "__main__":
    main()
