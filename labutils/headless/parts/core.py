"""The six parts that the lab begins with."""

from dataclasses import replace

import pandas as pd

from labutils.experiments.comparisons import compare_transfer_vs_scratch, domain_gap_experiment
from labutils.experiments.runs import FEATURES, MEASURED, PARTIAL, open_domain, run_all
from labutils.experiments.statistics import effective_data, intervals
from labutils.headless.parts.writing import keep, markdown, percent
from labutils.headless.plan import Plan
from labutils.networks.backbones import build_feature_extractor
from labutils.networks.freezing import block
from labutils.runtime.files import whole_file
from labutils.training.optimizers import group_rates
from labutils.training.range_test import lr_finder
from labutils.training.settings import Settings

DISTANCE = {"textures": "near", "solar": "different", "digits": "very different"}


def feature_extraction(plan: Plan) -> str:
    """1 · A new head on frozen features"""
    from labutils.plots.comparisons import plot_history

    classes = open_domain(plan.domain, plan.image_size).classes
    model = build_feature_extractor(plan.backbone, len(classes))
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
        f"Test accuracy {percent(end['mean'], end['low'], end['high'])} after {plan.epochs} epochs on "
        f"{groups['parameters'].iloc[-1] / groups['parameters'].sum():.2%} of the parameters. "
        f"Every frozen weight and buffer bit-identical afterwards: **{unmoved}**.\n\n{groups.to_markdown(index=False)}\n\n"
        "![Loss and accuracy over epochs of the first seed](feature_extraction.png)"
    )


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
    return (
        f"Best mean, with {best['trained_groups']:.0f} of the groups trained: {percent(best['mean'], best['low'], best['high'])}. "
        "More than one group: the head first, then the block at a tenth of the rate.\n\n"
        f"{markdown(means)}\n\n![Test accuracy and time over the number of trained groups](partial_finetuning.png)"
    )


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


def transfer_or_scratch(plan: Plan) -> str:
    """4 · Pretrained against random initialisation"""
    from labutils.plots.comparisons import plot_comparison

    plan = replace(plan, image_size=plan.small_image_size)
    curves, ends = compare_transfer_vs_scratch(
        plan.domain,
        plan.backbone,
        labels=plan.labels,
        settings=plan.settings,
        scratch_rates=plan.scratch_rates,
        seeds=plan.seeds,
        image_size=plan.image_size,
        store=plan.store,
        workers=plan.workers,
    )
    with whole_file(plan.outputs / "transfer_or_scratch_ends.csv") as path:
        ends.to_csv(path, index=False)
    looked_at = curves.dropna(subset="validation_accuracy")
    means = intervals(looked_at, ["start", "step"], "validation_accuracy")
    keep(plan, "transfer_or_scratch", curves, plot_comparison(means, plan.title))
    tests = intervals(ends, ["start"]).set_index("start")
    lead = tests.loc["pretrained", "mean"] - tests.loc["random", "mean"]
    steps = ends[ends["start"] == "pretrained"]["steps_to_match"]
    reached = ends[ends["start"] == "random"]["steps_to_match"].notna().sum()
    matched = (
        f"after {steps.median():.0f} of {curves['step'].max()} steps (median)"
        if steps.notna().any()
        else "never"
    )
    return (
        f"Same pictures, same {curves['step'].max()} steps, same augmentation; the rate from scratch is "
        f"{'the best on validation of ' * (len(plan.scratch_rates) > 1)}"
        f"{', '.join(f'{rate:g}' for rate in plan.scratch_rates)}. The pretrained network ends "
        f"**{100 * lead:.1f} points** ahead on the test pictures. It reaches the final validation accuracy of scratch {matched}; "
        f"scratch reaches that of transfer in {reached} of {len(plan.seeds)} runs.\n\n"
        f"{markdown(tests.reset_index())}\n\n![Validation accuracy over steps for both starts](transfer_or_scratch.png)"
    )


def range_test(plan: Plan) -> str:
    """5 · A learning rate from a range test"""
    domain = open_domain(plan.domain, plan.image_size)
    model = build_feature_extractor(plan.backbone, len(domain.classes))
    found = lr_finder(model, domain.labelled(plan.labels, plan.seeds[0]), plan.settings)
    keep(plan, "range_test", found.curve, found.plot())
    if found.reason:
        said = f"No suggestion: {found.reason}."
    else:
        said = (
            "Suggested rates of the head: "
            + ", ".join(f"{name} {rate:.1e}" for name, rate in found.suggestions.items())
            + "."
        )
    return f"{said} The test ended because {found.stopped}.\n\n![Loss over learning rate](range_test.png)"


def domain_gap(plan: Plan) -> str:
    """6 · The domain gap, and what pretraining is worth in labels"""
    from labutils.plots.domain_gap import plot_domain_gap

    table = domain_gap_experiment(
        plan.gap_domains,
        plan.backbone,
        labels=plan.gap_labels,
        settings=Settings(batch_size=16, keep_best=False, device=plan.device),
        scratch_rates=plan.scratch_rates,
        seeds=plan.seeds,
        image_size=plan.small_image_size,
        store=plan.store,
        workers=plan.workers,
    )
    means, worth = intervals(table, ["domain", "strategy", "labels"]), effective_data(table)
    with whole_file(plan.outputs / "effective_data.csv") as path:
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
