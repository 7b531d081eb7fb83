"""What a suggested rate is worth: the loss after training at it, above that at the best of the rates that were tried."""

from collections.abc import Callable

import numpy as np
import pandas as pd

TRIED = tuple(float(f"{rate:.3g}") for rate in np.geomspace(1e-4, 1e-1, 10))
FIRST = TRIED.index(1e-3)
CLEARLY_WORSE = 0.3


def outwards(loss: Callable[[float], float]) -> dict[float, float]:
    """Losses at the rates of `TRIED` from the middle to both sides, on each until they are clearly worse than the best."""
    found = {FIRST: loss(TRIED[FIRST])}
    for way in (range(FIRST + 1, len(TRIED)), range(FIRST - 1, -1, -1)):
        for place in way:
            found[place] = loss(TRIED[place])
            if found[place] > min(found.values()) + CLEARLY_WORSE:
                break
    return {TRIED[place]: found[place] for place in sorted(found)}


def above_best(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each task and tool: the loss above that of the best rate tried; infinite where nothing was suggested."""
    keys = ["domain", "trained", "batch_size", "seed"]
    tried = rows["tool"].str.startswith("tried")
    best = rows[tried].groupby(keys)["loss"].min().rename("best")
    tools = rows[~tried].join(best, on=keys)
    above = (tools["loss"] - tools["best"]).where(tools["rate"].notna(), np.inf)
    return tools.assign(above_best=above, answered=tools["rate"].notna())


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each tool and what is trained: how often it answers, and the loss above the best in the median and nine of ten."""
    judged = above_best(rows)
    whole = judged.assign(trained="all tasks")
    return (
        pd.concat([whole, judged])
        .groupby(["trained", "tool"], sort=False)
        .agg(
            tasks=("answered", "size"),
            answered=("answered", "mean"),
            median=("above_best", "median"),
            nine_of_ten=("above_best", lambda losses: losses.quantile(0.9, interpolation="higher")),
            worst=("above_best", "max"),
        )
        .reset_index()
    )
