"""Part 4 of the headless lab: pretrained or random weights, at equal budget."""

from dataclasses import replace

from labutils.experiments.comparisons import compare_transfer_vs_scratch
from labutils.experiments.runs import open_domain
from labutils.experiments.statistics import intervals
from labutils.headless.parts.writing import keep, markdown, smallest_lead
from labutils.headless.plan import Plan
from labutils.runtime.files import atomic_write


def transfer_or_scratch(plan: Plan) -> str:
    """4 · Pretrained against random initialisation"""
    from labutils.plots.comparisons import plot_comparison

    plan = replace(plan, image_size=plan.small_image_size)
    curves, ends = compare_transfer_vs_scratch(
        plan.domain,
        plan.backbone,
        labels=plan.labels,
        # From scratch BatchNorm takes the statistics of the batch: a part of one would give it others.
        settings=replace(plan.settings, accumulate=1),
        rate_factors=plan.rate_factors,
        seeds=plan.seeds,
        image_size=plan.image_size,
        store=plan.store,
        workers=plan.workers,
    )
    with atomic_write(plan.outputs / "transfer_or_scratch_ends.csv") as path:
        ends.to_csv(path, index=False)
    looked_at = curves.dropna(subset="validation_accuracy")
    means = intervals(looked_at, ["start", "step"], "validation_accuracy")
    keep(plan, "transfer_or_scratch", curves, plot_comparison(means, plan.title))
    tests = intervals(ends, ["start"]).set_index("start")
    pictures = len(open_domain(plan.domain, plan.image_size).test)
    least = smallest_lead(*tests["mean"], pictures)
    lead = tests.loc["pretrained", "mean"] - tests.loc["random", "mean"]
    steps = ends[ends["start"] == "pretrained"]["steps_to_match"]
    reached = ends[ends["start"] == "random"]["steps_to_match"].notna().sum()
    matched = (
        f"after {steps.median():.0f} of {curves['step'].max()} steps (median)"
        if steps.notna().any()
        else "never"
    )
    rates = ends.groupby("start")["base_lr"].first()
    return (
        f"Same pictures, same {curves['step'].max()} steps, same augmentation; the rates of the heads are "
        f"{rates['pretrained']:g} and from scratch {rates['random']:g}"
        f"{', each the best on validation of a search of the same size' * (len(plan.rate_factors) > 1)}. The pretrained network ends "
        f"**{100 * lead:.1f} points** ahead on the test pictures; {pictures} of them "
        f"cannot tell a lead below {100 * least:.1f} points from none. It reaches the final validation accuracy of scratch {matched}; "
        f"scratch reaches that of transfer in {reached} of {len(plan.seeds)} runs.\n\n"
        f"{markdown(tests.reset_index())}\n\n![Validation accuracy over steps for both starts](transfer_or_scratch.png)"
    )
