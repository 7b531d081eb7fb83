"""Part 3 of the headless lab: one learning rate for each group."""

from dataclasses import replace

import pandas as pd

from labutils.experiments.runs import PARTIAL, run_all
from labutils.experiments.statistics import intervals
from labutils.headless.parts.writing import keep, markdown
from labutils.headless.plan import Plan
from labutils.networks.backbones import build_feature_extractor
from labutils.networks.freezing import block
from labutils.training.optimizers import group_rates


def discriminative_rates(plan: Plan) -> str:
    """3 · One learning rate for each group"""
    from labutils.plots.comparisons import plot_rates

    cases = [(decay, seed) for decay in plan.decays for seed in plan.seeds]
    runs = [
        plan.run(replace(PARTIAL, groups=max(plan.trained_groups), lr_decay=decay), seed)
        for decay, seed in cases
    ]
    results = run_all(runs, plan.store, plan.workers, "Decay of the rate")
    model = build_feature_extractor(plan.backbone, 2)
    trained = block(model, max(plan.trained_groups))  # frozen groups have no rate
    rows, ends = [], []
    for (decay, seed), result in zip(cases, results, strict=True):
        ends.append({"decay": decay, "seed": seed, "test_accuracy": result["test_accuracy"]})
        rates = group_rates(model, PARTIAL.base_lr / 10, decay)
        rows += [
            {
                "decay": decay,
                "seed": seed,
                "group": g,
                "learning_rate": rates[g],
                "movement": result["movement"][g],
            }
            for g in trained
        ]
    table, means = pd.DataFrame(rows), intervals(pd.DataFrame(ends), ["decay"])
    # The head is new: it moves by its whole length, which would hide the others.
    pictured = (
        table[table["group"] != "head"]
        .groupby(["decay", "group"], sort=False)[["learning_rate", "movement"]]
        .mean()
        .reset_index()
    )
    keep(
        plan, "discriminative_rates", table.merge(pd.DataFrame(ends)), plot_rates(pictured, means, plan.title)
    )
    return (
        "η_k = η_base / decay^(L − k); the groups trained after the head has had its first half alone.\n\n"
        f"{markdown(means)}\n\n![Rate, movement of weights and accuracy for each decay](discriminative_rates.png)"
    )
