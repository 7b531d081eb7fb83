"""The parts that build on the six: forgetting, memory, and the way through 500 pictures."""

from dataclasses import asdict, replace

import pandas as pd

from labutils.analysis.training_memory import held_by_a_step, memory_costs, training_memory
from labutils.experiments.capstone import FASTER, HEAD_ALONE, Recipe
from labutils.experiments.capstone import capstone as try_recipes
from labutils.experiments.comparisons import augmentation_for
from labutils.experiments.forgetting_trade_off import ForgettingRun, trade_off
from labutils.experiments.runs import open_domain
from labutils.experiments.statistics import intervals
from labutils.forgetting import method_means, pareto
from labutils.headless.parts.writing import keep, percent
from labutils.headless.plan import Plan
from labutils.networks.backbones import build_feature_extractor

# One strength each, a good one of the table "forgetting" in benchmarks/results.
AGAINST_FORGETTING = {
    "fine-tuning": ("", (1.0,)),
    "L2-SP": ("pull", (3.0,)),
    "rehearsal": ("old pictures a class", (3,)),
    "low rates": ("decay of the rate from group to group", (1.5,)),
}
IN_A_STEP = 32  # pictures


def forgetting(plan: Plan) -> str:
    """7 · What a new task does to an old one, and what helps"""
    from labutils.plots.forgetting import plot_trade_off

    options = {"backbone": plan.backbone, "image_size": plan.small_image_size}
    settings = replace(ForgettingRun("fine-tuning", 1.0, 0).settings, device=plan.device)
    table = trade_off(plan.seeds, plan.store, plan.workers, AGAINST_FORGETTING, settings=settings, **options)
    means = method_means(table)
    count = len(plan.seeds)
    title = f"textures, then digits, {plan.small_image_size} px, {count} seed{'s' * (count > 1)}"
    keep(plan, "forgetting", table, plot_trade_off(means, pareto(means), title=title))
    shown = means[["method", "strength", "new_test", "old_test", "agreement"]].copy()
    for name in ("new_test", "old_test", "agreement"):
        shown[name] = shown[name].map("{:.1%}".format)
    names = {"new_test": "digits", "old_test": "textures", "agreement": "answers of ImageNet kept"}
    return (
        "First textures, then digits, with a head for each task. Weight interpolation is tried on the plain run.\n\n"
        f"{shown.rename(columns=names).to_markdown(index=False, disable_numparse=True)}\n\n"
        "![Accuracy on the old task over accuracy on the new one for each method](forgetting.png)"
    )


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
        told = training_memory(costs, groups, batch)
        held, seconds = held_by_a_step(model, domain, settings, groups)
        cases[f"last {groups} trained"] = told
        rows.append(
            {
                "trained groups": groups,
                **asdict(told),
                "calculated": told.total,
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


def capstone(plan: Plan) -> str:
    """9 · The way through a few hundred pictures"""
    from labutils.plots.schedules import plot_points

    recipes = tuple(Recipe(strategy, plan.image_size) for strategy in (HEAD_ALONE, FASTER))
    table = try_recipes(
        recipes,
        plan.domain,
        backbone=plan.backbone,
        augmentation=[
            name for name in augmentation_for(plan.domain) if name != "quarter_turns"
        ],  # see MIRRORS
        labels=plan.labels,
        seeds=plan.seeds,
        store=plan.store,
        workers=plan.workers,
        device=plan.device,
    )
    keep(
        plan,
        "capstone",
        table,
        plot_points(table, "recipe", "validation_accuracy", "validation accuracy", plan.title),
    )
    end = intervals(table[table["chosen"]], ["recipe"]).iloc[0]
    return (
        f"Chosen on validation pictures: {end['recipe']}. Its test accuracy is {percent(end['mean'], end['low'], end['high'])}.\n\n"
        "![Validation accuracy of each recipe and seed](capstone.png)"
    )
