"""One measurement, in the process that `turns` starts for it: prints what it found as JSON on its last line."""

import json
import sys
from importlib import import_module

import torch

from benchmarks.peers.contenders import CONTENDERS
from benchmarks.peers.tasks import Bench, Conditions, Job


def main() -> None:
    told = json.loads(sys.argv[1])
    job = Job(**{**told, "conditions": Conditions(**told["conditions"])})
    torch.set_num_threads(job.conditions.threads)
    module, function = CONTENDERS[job.contender][job.task].split(".")
    contend, bench = getattr(import_module(f"benchmarks.peers.{module}"), function), Bench(job)
    done = contend(bench)
    found = {"seconds": bench.seconds, "cpu_seconds": bench.cpu_seconds}
    found |= {"losses": done} if isinstance(done, list) else {"accuracy": bench.accuracy(done)}
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main()
