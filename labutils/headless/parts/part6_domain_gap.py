"""Part 6 of the headless lab: the domain gap, and what pretraining is worth in labels."""

from labutils.experiments.comparisons import domain_gap_experiment
from labutils.experiments.statistics import effective_data, intervals
from labutils.headless.parts.writing import keep
from labutils.headless.plan import Plan
from labutils.runtime.files import atomic_write
from labutils.training.settings import Settings

DISTANCE = {"textures": "near", "solar": "different", "digits": "very different"}


def domain_gap(plan: Plan) -> str:
    """6 · The domain gap, and what pretraining is worth in labels"""
    from labutils.plots.domain_gap import plot_domain_gap

    table = domain_gap_experiment(
        plan.gap_domains,
        plan.backbone,
        labels=plan.gap_labels,
        settings=Settings(batch_size=16, keep_best=False, device=plan.device),
        rate_factors=plan.rate_factors,
        seeds=plan.seeds,
        image_size=plan.small_image_size,
        store=plan.store,
        workers=plan.workers,
    )
    means, worth = intervals(table, ["domain", "strategy", "labels"]), effective_data(table)
    with atomic_write(plan.outputs / "effective_data.csv") as path:
        worth.to_csv(path, index=False)
    keep(plan, "domain_gap", table, plot_domain_gap(means, DISTANCE if plan.gap_labels else {}))
    shown = worth.assign(
        accuracy=worth["accuracy"].map("{:.1%}".format),
        scratch_labels=(worth["bound"] + " " + worth["scratch_labels"].astype(str)).str.strip(),
    )[["domain", "strategy", "labels", "accuracy", "scratch_labels"]]
    shown = shown.rename(columns={"scratch_labels": "labels that scratch needs for it"})
    return (
        f"Pictures of {plan.small_image_size} px. At each number of labels all strategies take the same number of steps.\n\n"
        f"![Test accuracy over labels for each domain and strategy](domain_gap.png)\n\n{shown.to_markdown(index=False)}"
    )
