"""Trainings at many rates at once are those of `fit`, and what a suggestion is worth is counted from the best rate tried."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.peers.heads_side_by_side import train_heads
from benchmarks.peers.worth import TRIED, above_best, outwards, summary
from labutils import ActivationCache, Settings, Stage, fit


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_heads_side_by_side_end_as_each_by_itself(tiny_net, tiny_domain, schedule):
    settings = Settings(batch_size=8, weight_decay=0.05, schedule=schedule, keep_best=False)
    rates = [1e-3, 0.03, 1.0]
    found = train_heads(tiny_net(), tiny_domain, settings, 4, rates, ActivationCache())
    for rate, loss in zip(rates, found, strict=True):
        history = fit(tiny_net(), tiny_domain, settings, [Stage(("head",), 4, rate)])
        assert loss == pytest.approx(history["validation_loss"].iloc[-1], rel=1e-3)


def test_leaves_the_network_as_it_is(tiny_net, tiny_domain):
    net = tiny_net()
    before = net.head[-1].weight.clone()
    train_heads(net, tiny_domain, Settings(), 1, [0.1], ActivationCache())
    assert (net.head[-1].weight == before).all()


def test_goes_outwards_until_it_is_clearly_worse():
    asked = []

    def loss(rate: float) -> float:
        asked.append(rate)
        return abs(np.log10(rate) + 2) / 2  # lowest at 1e-2

    found = outwards(loss)
    assert list(found) == sorted(found) and len(asked) == len(found)
    # One rate of ten is 1/6 from the next: the second above the best is clearly worse, and so is the first below 1e-3.
    assert list(found) == list(TRIED[2:9])


def test_worth_by_hand():
    keys = {"domain": "solar", "trained": "head", "batch_size": 16}
    rows = [
        {**keys, "seed": seed, "tool": tool, "rate": rate, "loss": loss + seed}
        for seed in (0, 1)
        for tool, rate, loss in (
            ("tried 0.1", 0.1, 0.5),
            ("tried 1", 1.0, 0.75),
            ("good", 0.2, 0.25 * (seed + 2)),
            ("silent", np.nan, np.nan),
        )
    ]
    judged = above_best(pd.DataFrame(rows)).set_index(["tool", "seed"])["above_best"]
    assert judged["good"].tolist() == [0, 0.25] and np.isinf(judged["silent"]).all()
    table = summary(pd.DataFrame(rows)).set_index(["trained", "tool"])
    assert table.loc[("all tasks", "good"), "median"] == 0.125
    assert table.loc[("head", "good"), "nine_of_ten"] == 0.25 and table.loc[("head", "good"), "tasks"] == 2
    assert table.loc[("head", "silent"), "answered"] == 0
