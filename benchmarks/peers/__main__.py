"""The lab and what people would use instead of it, side by side: the same pictures, network, epochs and threads.

python -m benchmarks.peers [--rounds N] [--quick]

Contenders take turns, each turn in a process of its own; finished ones are kept, so an interrupted benchmark goes on.
The README beside this file says what is the same for all, what differs, and what came out.
"""

import argparse
import shutil
from dataclasses import asdict, replace

from benchmarks.peers.comparison import compare
from benchmarks.peers.contenders import CONTENDERS, origin
from benchmarks.peers.rates import rate
from benchmarks.peers.tasks import Conditions, Job
from benchmarks.peers.turns import take_turns
from benchmarks.provenance import save
from labutils.runtime.files import data_folder

QUICK = replace(Conditions(), pictures=64, validation=32, range_batch_size=4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rounds", type=int, default=3, help="measurements of each, in turns, each with its own seed"
    )
    parser.add_argument("--quick", action="store_true", help="one round, few pictures; nothing is written")
    arguments = parser.parse_args()
    rounds, conditions = (1, QUICK) if arguments.quick else (arguments.rounds, Conditions())
    turns = [
        [Job(task, contender, seed, rate(contender, task), conditions) for task in CONTENDERS[contender]]
        for seed in range(rounds)
        for contender in CONTENDERS
    ]
    folder = data_folder() / "peers" / ("quick" if arguments.quick else "rounds")
    measured_with = origin(tuple(range(rounds)))
    rows = take_turns(turns, folder, measured_with["commit"]).drop(columns="losses")
    keep = not arguments.quick
    save("peers_runs", rows, measured_with, keep=keep, **asdict(conditions))
    save("peers", compare(rows), measured_with, keep=keep, **asdict(conditions))
    shutil.rmtree(folder)  # the next benchmark measures anew


if __name__ == "__main__":
    main()
