"""Part 8 of the headless lab: what a training step holds in memory."""

from dataclasses import asdict, replace

import pandas as pd

from labutils.analysis.training_memory import memory_costs, step_memory, training_memory
from labutils.experiments.runs import open_domain
from labutils.headless.parts.writing import keep
from labutils.headless.plan import Plan
from labutils.networks.backbones import build_feature_extractor

IN_A_STEP = 32  # pictures


def memory(plan: Plan) -> str:
    """8 · What fills the memory"""
    from labutils.plots.memory import plot_memory

    domain = open_domain(plan.domain, plan.image_size)
    batch = min(IN_A_STEP, len(domain.train))
    model = build_feature_extractor(plan.backbone, len(domain.classes))
    costs = memory_costs(model, plan.image_size)
    settings = replace(plan.settings, batch_size=batch, accumulate=1)
    rows, cases = [], {}
    for groups in plan.trained_groups:
        needed = training_memory(costs, groups, batch)
        held, seconds = step_memory(model, domain, settings, groups)
        cases[f"last {groups} trained"] = needed
        rows.append(
            {
                "trained groups": groups,
                **asdict(needed),
                "calculated": needed.total,
                "measured": held,
                "seconds": seconds,
            }
        )
    table = pd.DataFrame(rows)
    title = f"{plan.backbone}, {batch} pictures of {plan.image_size} px"
    keep(plan, "memory", table, plot_memory(cases, title))
    return (
        f"MB at the fullest moment of a step of {batch} pictures, calculated from two small batches and measured.\n\n"
        f"{table.round(2).to_markdown(index=False)}\n\n![What fills the memory for each number of trained groups](memory.png)"
    )
