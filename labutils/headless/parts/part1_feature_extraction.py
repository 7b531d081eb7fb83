"""Part 1 of the headless lab: a new head on frozen features."""

import pandas as pd

from labutils.experiments.runs import FEATURES, open_domain, run_all
from labutils.experiments.statistics import intervals
from labutils.headless.parts.writing import keep, percent
from labutils.headless.plan import Plan
from labutils.networks.backbones import build_feature_extractor


def feature_extraction(plan: Plan) -> str:
    """1 · A new head on frozen features"""
    from labutils.plots.comparisons import plot_history

    domain = open_domain(plan.domain, plan.image_size)
    model = build_feature_extractor(plan.backbone, len(domain.classes))
    runs = [plan.run(FEATURES, seed) for seed in plan.seeds]
    results = run_all(runs, plan.store, plan.workers, "Feature extraction")
    history = pd.concat(
        [pd.DataFrame(r["history"]).assign(seed=run.seed) for run, r in zip(runs, results, strict=True)]
    )
    keep(
        plan,
        "feature_extraction",
        history,
        plot_history(
            history[history["seed"] == plan.seeds[0]],
            plan.title + "; the first is shown" * (len(plan.seeds) > 1),
        ),
    )
    end = intervals(pd.DataFrame(results).assign(part=1), ["part"]).iloc[0]
    unmoved = all(result["frozen_unmoved"] for result in results)
    groups = pd.DataFrame(model.table(plan.image_size))
    return (
        f"Test accuracy {percent(end['mean'], end['low'], end['high'], len(domain.test))} after {plan.epochs} epochs on "
        f"{groups['parameters'].iloc[-1] / groups['parameters'].sum():.2%} of the parameters. {_recalls(results)}"
        f"Every frozen weight and buffer bit-identical afterwards: **{unmoved}**.\n\n{groups.to_markdown(index=False)}\n\n"
        "![Loss and accuracy over epochs of the first seed](feature_extraction.png)"
    )


def _recalls(results: list[dict]) -> str:
    """Recall of each class, mean over the seeds; nothing where an earlier version did the runs."""
    table = pd.DataFrame([result.get("test_recall", {}) for result in results]).mean().dropna()
    listed = [f"{name} {recall:.0%}" for name, recall in table.items()]
    return f"Recall of the classes: {', '.join(listed)}. " if listed else ""
