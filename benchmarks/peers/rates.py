"""The learning rate of each contender for each task, chosen on validation pictures: nobody is slow or wrong by a bad rate.

python -m benchmarks.peers.rates
"""

from dataclasses import asdict

import pandas as pd

from benchmarks.peers.contenders import CONTENDERS, TRAININGS, origin
from benchmarks.peers.tasks import HEAD_RATE, Conditions, Job
from benchmarks.peers.turns import take_turns
from benchmarks.provenance import RESULTS, save
from labutils.runtime.files import data_folder

TRIED = {"head": (1e-3, 3e-3, 1e-2), "mixed": (3e-4, 1e-3, 3e-3), "full": (3e-4, 1e-3, 3e-3)}
SEEDS = (100,)  # none of the comparison
NAME = "peers_rates"


def rate(contender: str, task: str) -> float:
    """The best rate that was tried; a variant, named after a comma, has that of its tool. Range tests need none."""
    if task not in TRAININGS:
        return HEAD_RATE
    return best_rates(pd.read_csv(RESULTS / f"{NAME}.csv"))[task, contender.split(",")[0]]


def best_rates(table: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Rate of highest mean accuracy for each (task, contender); of equals the lowest."""
    means = table.groupby(["task", "contender", "rate"])["accuracy"].mean()
    return {key: part.idxmax()[2] for key, part in means.groupby(level=[0, 1])}


def main() -> None:
    tools = [name for name, tasks in CONTENDERS.items() if "head" in tasks and "," not in name]
    turns = [
        [
            Job(task, tool, seed, tried, Conditions(), "validation")
            for task in TRAININGS
            for tried in TRIED[task]
        ]
        for seed in SEEDS
        for tool in tools
    ]
    measured_with = origin(SEEDS)
    table = take_turns(turns, data_folder() / "peers" / "rates", measured_with["commit"])
    save(
        NAME, table[["task", "contender", "rate", "seed", "accuracy"]], measured_with, **asdict(Conditions())
    )


if __name__ == "__main__":
    main()
