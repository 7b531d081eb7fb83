"""The comparisons of the lab: equal budgets, several seeds, tidy tables."""

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from labutils.data import Domain
from labutils.experiments.runs import (
    MEASURED,
    PARTIAL,
    SCRATCH,
    STRATEGIES,
    Run,
    Strategy,
    open_domain,
    run_all,
)
from labutils.experiments.statistics import steps_to_match
from labutils.networks.backbones import DEFAULT_BACKBONE
from labutils.training.settings import Settings
from labutils.training.trainer import TrainingDiverged

# Multiples of its own rate that each strategy tries on validation: a baseline that is not tuned flatters the others.
RATE_FACTORS = (0.3, 1.0, 3.0)
MOST_STAGES = 4  # of a plan, so a search may not be shorter
SEARCHED = 3  # seeds that a rate is chosen over, where there are so many
# Pictures that may be mirrored without changing their class; digits may not.
SAFE_AUGMENTATION = {
    "textures": ("flip", "vertical_flip", "quarter_turns"),
    "solar": ("flip", "vertical_flip", "quarter_turns"),
}
DEFAULT_LABELS = {"textures": (60, 240, 720), "solar": (50, 200, 800), "digits": (50, 250, 3000)}


def augmentation_for(domain: str | Domain) -> tuple[str, ...]:
    """Augmentation that keeps the class: turns and mirrors for textures and cells, small crops otherwise."""
    name = domain if isinstance(domain, str) else getattr(domain, "name", None)
    return SAFE_AUGMENTATION.get(name, ("crop",))


class RateTrial(Run):
    """A run that tries a rate: one too high for it is an answer, not an error."""

    def execute(self, on_epoch=None) -> dict:
        try:
            return super().execute(on_epoch)
        except TrainingDiverged:
            return {"validation_accuracy": math.nan}


def tuned(
    runs: Sequence[Run],
    factors: Sequence[float] = RATE_FACTORS,
    seeds: Sequence[int] = (0,),
    store: str | Path | None = None,
    workers: int | None = None,
) -> tuple[list[Strategy], pd.DataFrame]:
    """For each run its strategy at the rate that did best on validation, and the table of all rates tried.

    One training for each run, factor and seed, half as long, all of them side by side; the highest mean over the seeds wins.
    The test split is not looked at. A rate at which any of its trainings diverges is not taken.

    Parameters
    ----------
    runs : sequence of Run
        Their seeds are not used.
    factors : sequence of float
        Of the strategy's own ``base_lr``; the same for all strategies, so that none gets a larger search. One of them means no
        search, and no table.
    seeds : sequence of int
    store, workers :
        See `run_all`.

    Returns
    -------
    chosen : list of Strategy
    table : DataFrame
        A row a training: run (position in ``runs``), strategy, factor, base_lr, seed, validation_accuracy (NaN: diverged).

    Raises
    ------
    TrainingDiverged
        A strategy diverges at every rate.
    """
    if len(factors) == 1:
        return [at_rate(run.strategy, factors[0]) for run in runs], pd.DataFrame()
    cases = [(number, factor, seed) for number in range(len(runs)) for factor in factors for seed in seeds]
    trials = []
    for number, factor, seed in cases:
        run = runs[number]
        epochs = max(math.ceil(run.settings.epochs / 2), min(run.settings.epochs, MOST_STAGES))
        settings = replace(run.settings, epochs=epochs, validate_every=epochs)
        strategy = at_rate(run.strategy, factor)
        trials.append(
            RateTrial(
                run.domain, run.backbone, strategy, run.labels, seed, settings, run.image_size, test=False
            )
        )
    results = run_all(trials, store, workers, label="Choosing rates")
    table = pd.DataFrame(
        {
            "run": number,
            "strategy": trial.strategy.name,
            "factor": factor,
            "base_lr": trial.strategy.base_lr,
            "seed": seed,
            "validation_accuracy": result["validation_accuracy"],
        }
        for (number, factor, seed), trial, result in zip(cases, trials, results, strict=True)
    )
    means = table.groupby(["run", "factor"])["validation_accuracy"].mean(skipna=False)
    for number, run in enumerate(runs):
        if means[number].isna().all():
            raise TrainingDiverged(
                f"{run.strategy.name}: training diverges at each of the rates tried, {min(factors):g} to {max(factors):g} times "
                f"base_lr={run.strategy.base_lr}. Give the strategy a lower base_lr."
            )
    # idxmax takes the first, so the lowest rate wins a tie.
    return [at_rate(run.strategy, means[number].idxmax()) for number, run in enumerate(runs)], table


def at_rate(strategy: Strategy, factor: float) -> Strategy:
    """The strategy at a multiple of its rate, or of all its rates."""
    if isinstance(strategy.base_lr, tuple):
        return replace(strategy, base_lr=tuple(factor * rate for rate in strategy.base_lr))
    return replace(strategy, base_lr=float(f"{factor * strategy.base_lr:.12g}"))  # 0.3 · 0.003 is 0.0009


def compare_transfer_vs_scratch(
    domain: str | Domain,
    backbone: str = DEFAULT_BACKBONE,
    *,
    labels: int = 500,
    settings: Settings | None = None,
    strategy: Strategy = PARTIAL,
    rate_factors: Sequence[float] = RATE_FACTORS,
    seeds: Sequence[int] = (0, 1, 2),
    image_size: int = 128,
    store: str | Path | None = None,
    workers: int | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train a pretrained and a randomly initialised network on the same pictures for the same number of steps.

    Both get the same augmentation, the same choice of weights (see ``settings.keep_best``) and the same search for a rate on
    validation.

    Parameters
    ----------
    domain : str or Domain
    backbone : str, default "efficientnet_lite0", or the variable LAB_BACKBONE
    labels : int, default 500
        Labelled training pictures, drawn by each seed.
    settings : Settings, optional
        Default 10 epochs, batches of 32, the augmentation that suits the domain, weights of the last epoch.
    strategy : Strategy, default PARTIAL
        How the pretrained network is trained: head first, then the last two blocks at a tenth of the rate.
    rate_factors : sequence of float
        Each start takes the best of these multiples of its usual rate, see `tuned`; one value means no search.
    seeds : sequence of int, default (0, 1, 2)
    image_size : int, default 128
        In pixels.
    store, workers :
        See `run_all`.

    Returns
    -------
    curves : DataFrame
        A row for each start ("pretrained", "random"), seed and epoch: epoch, step, train_loss, train_accuracy,
        validation_loss, validation_accuracy (NaN where not looked at).
    ends : DataFrame
        A row for each start and seed: base_lr, validation_accuracy, test_accuracy and test_balanced_accuracy (mean
        over the classes) at the end, seconds, and ``steps_to_match``, the steps until its validation accuracy reached
        what the other start of that seed had at its end (NaN: never).

    Raises
    ------
    ValueError
        On unknown names and sizes out of range, before any training.

    Notes
    -----
    He, Girshick and Dollár 2019, "Rethinking ImageNet pre-training": scratch needs longer, so the result speaks
    of this budget. Zhai et al. 2019, VTAB, on how much an untuned baseline loses.
    """
    if settings is None:
        settings = Settings(epochs=10, augmentation=augmentation_for(domain), keep_best=False)
    _require_some(seeds=seeds, rate_factors=rate_factors)
    base = Run(domain, backbone, SCRATCH, labels, seeds[0], settings, image_size)
    open_domain(domain, image_size).labelled(labels, seeds[0])  # a wrong size is refused before any training
    strategies, _ = tuned(
        [replace(base, strategy=strategy), base], rate_factors, seeds[:SEARCHED], store, workers
    )
    starts = dict(zip(("pretrained", "random"), strategies, strict=True))
    cases = [(start, seed) for start in starts for seed in seeds]
    runs = [replace(base, strategy=starts[start], seed=seed) for start, seed in cases]
    results = run_all(runs, store, workers, label="Transfer against scratch")

    curves, ends = [], []
    for (start, seed), run, result in zip(cases, runs, results, strict=True):
        curves.append(pd.DataFrame(result["history"]).assign(start=start, seed=seed))
        ends.append(
            {
                "start": start,
                "seed": seed,
                "base_lr": run.strategy.base_lr,
                **{name: result[name] for name in MEASURED},
            }
        )
    curves, ends = pd.concat(curves, ignore_index=True), pd.DataFrame(ends)
    columns = "start seed epoch step train_loss train_accuracy validation_loss validation_accuracy".split()
    ends["steps_to_match"] = [steps_to_match(curves, start, seed) for start, seed in cases]
    return curves[columns], ends


def _require_some(**given: Sequence) -> None:
    """Raise ValueError unless each is a list of at least one: a text would be taken letter by letter."""
    for name, values in given.items():
        if isinstance(values, str) or not isinstance(values, Collection) or not len(values):
            raise ValueError(f"{name}={values!r}: give a list or tuple of at least one")


def steps_for(labels: int) -> int:
    """Optimizer steps for a run with so many labels: more pictures deserve more steps, but not in proportion."""
    return round(8 * math.sqrt(labels))


def domain_gap_experiment(
    domains: Sequence[str | Domain] = ("textures", "solar", "digits"),
    backbone: str = DEFAULT_BACKBONE,
    *,
    labels: dict[str, Sequence[int]] | Sequence[int] | None = None,
    strategies: Sequence[Strategy] = STRATEGIES,
    settings: Settings = Settings(batch_size=16, keep_best=False),
    rate_factors: Sequence[float] = RATE_FACTORS,
    seeds: Sequence[int] = (0, 1, 2),
    image_size: int = 64,
    store: str | Path | None = None,
    workers: int | None = None,
) -> pd.DataFrame:
    """Test accuracy against the number of labels, for each domain, strategy and seed.

    At each number of labels all strategies take the same number of steps (`steps_for`). Nothing is chosen inside
    a run: the weights are those of the last epoch. The rate of each strategy is chosen on validation, once for each
    domain, at the middle number of labels and over the first three seeds.

    Parameters
    ----------
    domains : sequence of str or Domain
    labels : dict of domain name to numbers, or numbers for all, optional
        Default `DEFAULT_LABELS`; numbers above a domain's training pictures raise.
    strategies : sequence of Strategy
    settings : Settings
        ``epochs``, ``validate_every`` and, if empty, ``augmentation`` are set for each run.
    rate_factors : sequence of float
        Of the strategy's usual rate, see `tuned`; one value means no search.
    image_size : int, default 64
        In pixels: small, because this is the lab's largest experiment.

    Returns
    -------
    DataFrame
        A row a run: domain, strategy, labels, seed, steps, base_lr, least_movement (of the trained groups, see `movement`),
        validation_accuracy, test_accuracy, test_balanced_accuracy (mean over the classes), seconds.
        Feed it to `intervals` and `effective_data`.

    Raises
    ------
    ValueError
        On unknown names and sizes out of range, before any training.
    """
    _require_some(domains=domains, strategies=strategies, seeds=seeds, rate_factors=rate_factors)
    sizes: dict[str | Domain, tuple[int, ...]] = {}
    for domain in domains:
        opened = open_domain(domain, image_size)
        counts = labels.get(opened.name) if isinstance(labels, dict) else labels
        sizes[domain] = tuple(counts or _default_labels(opened))
        for count in sizes[domain]:
            opened.labelled(count, seeds[0])

    def run_of(domain: str | Domain, strategy: Strategy, count: int, seed: int) -> Run:
        epochs = max(2, round(steps_for(count) / math.ceil(count / settings.batch_size)))
        augmentation = settings.augmentation or augmentation_for(domain)
        chosen = replace(settings, epochs=epochs, augmentation=augmentation, validate_every=epochs)
        return Run(domain, backbone, strategy, count, seed, chosen, image_size)

    cases = [(domain, strategy) for domain in domains for strategy in strategies]
    middle = [run_of(*case, sorted(sizes[case[0]])[len(sizes[case[0]]) // 2], seeds[0]) for case in cases]
    chosen, _ = tuned(middle, rate_factors, seeds[:SEARCHED], store, workers)
    cases = [(domain, strategy) for (domain, _), strategy in zip(cases, chosen, strict=True)]
    runs = [run_of(*case, count, seed) for case in cases for count in sizes[case[0]] for seed in seeds]
    results = run_all(runs, store, workers, label="Domain gap")
    return pd.DataFrame(
        {
            "domain": open_domain(run.domain, image_size).name,
            "strategy": run.strategy.name,
            "labels": run.labels,
            "seed": run.seed,
            "steps": result["history"][-1]["step"],
            "base_lr": run.strategy.base_lr,
            "least_movement": min(moved for moved in result["movement"].values() if moved > 0),
            **{name: result[name] for name in MEASURED},
        }
        for run, result in zip(runs, results, strict=True)
    )


def _default_labels(domain: Domain) -> tuple[int, ...]:
    fewest, most = 5 * len(domain.classes), len(domain.train)
    usual = DEFAULT_LABELS.get(domain.name)
    if usual and fewest <= usual[0] and usual[-1] <= most:  # one's own folder may be called "digits", too
        return usual
    if fewest >= most:
        return (most,)
    return tuple(sorted({round(fewest * (most / fewest) ** share) for share in (0, 0.5, 1)}))
