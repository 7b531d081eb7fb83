"""Part 7 of the headless lab: what a new task does to an old one, and what helps."""

from dataclasses import replace

from labutils.experiments.forgetting_trade_off import ForgettingRun, trade_off
from labutils.forgetting import method_means, pareto
from labutils.headless.parts.writing import keep
from labutils.headless.plan import Plan

# One strength each, a good one of the table "forgetting" in benchmarks/results.
AGAINST_FORGETTING = {
    "fine-tuning": ("", (1.0,)),
    "L2-SP": ("pull", (3.0,)),
    "rehearsal": ("old pictures a class", (3,)),
    "low rates": ("decay of the rate from group to group", (1.5,)),
}


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
