"""A plan written out: which group is trained at which rate at every step."""

import math
from collections.abc import Sequence

import pandas as pd

from labutils.networks.groups import LayerGroups
from labutils.training.optimizers import group_rates
from labutils.training.settings import Settings
from labutils.training.stages import Stage


def rate_schedule(
    model: LayerGroups, stages: Sequence[Stage], settings: Settings = Settings(), steps_per_epoch: int = 10
) -> pd.DataFrame:
    """The rate of each group at each optimizer step that `fit` will take with this plan and these settings.

    Parameters
    ----------
    model : LayerGroups
        For the names of its groups; not changed.
    stages : sequence of Stage
        From `partial_finetune`.
    settings : Settings
        Decay from group to group, and the shape of the rate over a stage.
    steps_per_epoch : int, default 10
        Labelled pictures over batch size, rounded up.

    Returns
    -------
    DataFrame
        stage, epoch (from 0, in parts: the time at which the step begins), group, learning_rate (NaN while the
        group is frozen); for each step a row a group, shallow to deep.

    Examples
    --------
    >>> from torch import nn
    >>> net = LayerGroups({"stem": nn.Linear(1, 1), "head": nn.Linear(1, 1)})
    >>> plan = [Stage(("head",), 1, 0.1), Stage(("stem", "head"), 1, 0.03)]
    >>> rate_schedule(net, plan, Settings(schedule="constant"), steps_per_epoch=1)
       stage  epoch group  learning_rate
    0      1    0.0  stem            NaN
    1      1    0.0  head           0.10
    2      2    1.0  stem           0.01
    3      2    1.0  head           0.03
    """
    rows, done = [], 0
    for number, stage in enumerate(stages, start=1):
        rates, steps = group_rates(model, stage.base_lr, settings.lr_decay), stage.epochs * steps_per_epoch
        for step in range(steps):
            shape = schedule_shape(settings.schedule, step, steps)
            rows += [
                {
                    "stage": number,
                    "epoch": done + step / steps_per_epoch,
                    "group": name,
                    "learning_rate": rate * shape if name in stage.groups else float("nan"),
                }
                for name, rate in rates.items()
            ]
        done += stage.epochs
    return pd.DataFrame(rows)


def schedule_shape(kind: str, step: int, steps: int) -> float:
    """Factor on the rate at ``step`` of a stage of ``steps`` optimizer steps, from 0 to 1.

    "cosine" climbs linearly over the first tenth and falls along half a cosine (Loshchilov and Hutter 2017).
    """
    if kind == "constant":
        return 1.0
    warm_up = max(1, steps // 10)
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))
