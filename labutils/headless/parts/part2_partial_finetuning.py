"""Part 2 of the headless lab: how many groups to train."""

from dataclasses import replace

import pandas as pd

from labutils.experiments.runs import FEATURES, MEASURED, PARTIAL, open_domain, run_all
from labutils.experiments.statistics import intervals
from labutils.headless.parts.writing import keep, markdown, percent
from labutils.headless.plan import Plan


def partial_finetuning(plan: Plan) -> str:
    """2 · How many groups to train"""
    from labutils.plots.comparisons import plot_freeze_depth

    rows = []
    cases = [(n, seed) for n in plan.trained_groups for seed in plan.seeds]
    runs = [plan.run(FEATURES if n == 1 else replace(PARTIAL, groups=n), seed) for n, seed in cases]
    for (n, seed), result in zip(cases, run_all(runs, plan.store, plan.workers, "Freeze depth"), strict=True):
        rows.append(
            {
                "trained_groups": n,
                "seed": seed,
                **{k: result[k] for k in MEASURED},
            }
        )
    table = pd.DataFrame(rows)
    means = intervals(table, ["trained_groups"])
    keep(
        plan,
        "partial_finetuning",
        table,
        plot_freeze_depth(means, intervals(table, ["trained_groups"], "seconds"), plan.title),
    )
    best = means.loc[means["mean"].idxmax()]
    pictures = len(open_domain(plan.domain, plan.image_size).test)
    return (
        f"Best mean, with {best['trained_groups']:.0f} of the groups trained: {percent(best['mean'], best['low'], best['high'], pictures)}. "
        "More than one group: the head first, then the block at a tenth of the rate.\n\n"
        f"{markdown(means)}\n\n![Test accuracy and time over the number of trained groups](partial_finetuning.png)"
    )
