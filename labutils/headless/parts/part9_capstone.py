"""Part 9 of the headless lab: the way through 500 pictures."""

from labutils.experiments.capstone import FASTER, HEAD_ALONE, Recipe
from labutils.experiments.capstone import capstone as try_recipes
from labutils.experiments.comparisons import augmentation_for
from labutils.experiments.runs import open_domain
from labutils.experiments.statistics import intervals
from labutils.headless.parts.writing import keep, percent
from labutils.headless.plan import Plan


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
    pictures = len(open_domain(plan.domain, plan.image_size).test)
    return (
        f"Chosen on validation pictures: {end['recipe']}. Its test accuracy is {percent(end['mean'], end['low'], end['high'], pictures)}.\n\n"
        "![Validation accuracy of each recipe and seed](capstone.png)"
    )
