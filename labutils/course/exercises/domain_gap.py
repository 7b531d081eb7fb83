"""Checks for the exercises of notebook 07."""

from functools import lru_cache
from itertools import count

import pandas as pd

from labutils.analysis.domain_distance import distance_from_pretraining
from labutils.course.exercises.verdict import verdict
from labutils.course.measured_tables import measured
from labutils.data import load
from labutils.experiments.runs import FEATURES, FULL, PARTIAL
from labutils.experiments.statistics import effective_data
from labutils.networks.backbones import build_feature_extractor


def worth_of_a_label(answer: float) -> None:
    """How many labels from scratch one of 250 digits is worth to full fine-tuning."""
    labels = 250
    rows = effective_data(measured("domain_gap").query("domain == 'digits'"))
    rows = rows[rows["labels"] == labels].set_index("strategy")
    needed = {strategy.name: rows.loc[strategy.name, "scratch_labels"] for strategy in (FEATURES, FULL)}
    verdict(
        answer,
        needed[FULL.name] / labels,
        f"From scratch {needed[FULL.name]:,} labels do what {labels} do after pretraining.",
        [
            (needed[FULL.name], f"That is for all {labels} labels. What is each of them worth?"),
            (
                needed[FULL.name] - labels,
                "Those are the labels gained, for all together: divide the labels from scratch by yours.",
            ),
            (
                (needed[FULL.name] - labels) / labels,
                "Those are the labels gained by each; with the one that you have it is one more.",
            ),
            (labels / needed[FULL.name], "The other way round: a label should be worth more than one."),
            (
                needed[FEATURES.name] / labels,
                "That is feature extraction; the question is about full fine-tuning.",
            ),
        ],
        "Divide scratch_labels of this row by the number of labels.",
    )


def negative_digits(answer: float) -> None:
    """Mean distance from pretraining of 200 digits, black on white."""
    before, after, size = _distances_of_digits()
    change = "nearer" if after < before else "further"
    verdict(
        answer,
        after,
        f"They are {change} now, {after:.2f} instead of {before:.2f}, and not a stroke has changed: the distance sees brightness as well as shape.",
        [
            (before, "Those are the digits as they were, white on black."),
            (
                lambda a: abs(abs(float(a)) - abs(after - before)) < 0.005,
                "That is the difference. Asked is the distance itself.",
            ),
            (after * size, "That is the sum over the groups. Asked is the mean."),
            (
                lambda a: isinstance(a, pd.DataFrame | pd.Series),
                "Give one number: the mean of the column distance.",
            ),
        ],
        "Take 255 - pictures['digits'], which stays uint8, and the mean of the column distance.",
    )


@lru_cache(maxsize=1)
def _distances_of_digits() -> tuple[float, float, int]:
    digits = load("digits", image_size=64)
    images = digits.images[digits.labelled(200, seed=0).train]
    model = build_feature_extractor()
    tables = [distance_from_pretraining(model, some)["distance"] for some in (images, 255 - images)]
    return tables[0].mean(), tables[1].mean(), len(tables[0])


def seeds_for_a_clear_lead(answer: int) -> None:
    """With how many seeds the lead of partial fine-tuning over feature extraction would be clear."""
    from scipy.stats import norm, t

    runs = measured("domain_gap").query("domain == 'solar' and labels == 200")
    runs = runs.pivot(index="seed", columns="strategy", values="test_accuracy")
    ahead, behind = runs[PARTIAL.name], runs[FEATURES.name]
    lead, spread = (ahead - behind).mean(), (ahead - behind).std()

    def least(quantile, spread: float) -> int:
        return next(n for n in count(2) if quantile(n) * spread / n**0.5 < lead)

    right = least(lambda n: t.ppf(0.975, n - 1), spread)
    apart = (ahead.var() + behind.var()) ** 0.5
    verdict(
        answer,
        lambda n: float(n) == right,
        f"A mean of {100 * lead:.1f} points with a standard deviation of {100 * spread:.1f} needs {right} seeds, if both stay what they are.",
        [
            (
                lambda n: float(n) == least(lambda n: norm.ppf(0.975), spread),
                "So few are enough only with 1.96 in place of t, that is if the standard deviation were known exactly.",
            ),
            (
                lambda n: float(n) == least(lambda n: t.ppf(0.975, len(runs) - 1), spread),
                "t is smaller with more seeds: compute it anew for each n, with n - 1.",
            ),
            (
                lambda n: float(n) == least(lambda n: t.ppf(0.975, n - 1), apart),
                "That is without pairs: take the difference within each seed first, then its standard deviation.",
            ),
            (
                lambda n: float(n) == right - 1,
                "One too few: with that many the lower end is still below zero.",
            ),
            (lambda n: float(n) > right, "That many would do, but fewer would, too."),
        ],
        "A whole number of seeds: the smallest n for which mean - t · s / √n is above zero.",
    )
