"""Checks for the exercises of notebook 07."""

import math
from collections.abc import Callable
from itertools import count

import numpy as np

from labutils.course.exercises.verdict import verdict, verdict_on_code
from labutils.course.measured_tables import measured
from labutils.experiments.runs import FEATURES, FULL
from labutils.experiments.statistics import effective_data, strategy_map


def worth_of_a_label(answer: float) -> None:
    """How many labels from scratch one of 250 digits is worth to full fine-tuning."""
    labels = 250
    rows = effective_data(measured("domain_gap").query("domain == 'digits'"))
    rows = rows[rows["labels"] == labels].set_index("strategy")
    needed = {strategy.name: rows.loc[strategy.name, "scratch_labels"] for strategy in (FEATURES, FULL)}
    not_even = "not even " * (rows.loc[FULL.name, "bound"] == "more than")
    verdict(
        answer,
        needed[FULL.name] / labels,
        f"From scratch {needed[FULL.name]:,} labels do {not_even}what {labels} do after pretraining.",
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
            (labels / needed[FULL.name], "The other way round: divide the labels from scratch by yours."),
            (
                needed[FEATURES.name] / labels,
                "That is feature extraction; the question is about full fine-tuning.",
            ),
        ],
        "Divide scratch_labels of this row by the number of labels.",
    )


def measures_a_lead(answer: Callable) -> None:
    """``answer(ours, theirs)`` gives mean, low and high of the lead: accuracies of the same seeds, 95 %."""
    verdict_on_code(
        answer,
        _fault_of_a_lead,
        "The difference is taken within each seed, so what makes a seed hard for both falls out; and few seeds need a large t.",
    )


def _fault_of_a_lead(answer: Callable) -> str | None:
    from scipy.stats import t

    theirs = np.array([0.71, 0.80, 0.66, 0.75, 0.86])
    ours = theirs + np.array([0.03, 0.01, 0.035, 0.015, 0.02])
    differences, n = ours - theirs, len(ours)
    lead, s = differences.mean(), differences.std(ddof=1)
    factor = t.ppf(0.975, n - 1)
    mean, low, high = (float(number) for number in answer(ours.copy(), theirs.copy()))
    if math.isclose(mean, -lead, rel_tol=1e-6):
        return "The lead has the wrong sign: ours minus theirs."
    if not math.isclose(mean, lead, rel_tol=1e-6):
        return f"The mean lead of these {n} seeds is {lead:.3f}, not {mean:.3f}."
    if not math.isclose(high - mean, mean - low, rel_tol=1e-6):
        return "The interval should reach as far up from the mean as down: return mean, low and high, in this order."
    unpaired = math.sqrt(ours.var(ddof=1) + theirs.var(ddof=1))
    wrong = {
        "That is for independent seeds. Here both have the same pictures in each seed: take the differences first.": factor
        * unpaired
        / math.sqrt(n),
        "1.96 is for many seeds. With few of them the standard deviation is a guess as well: take t with n - 1.": 1.96
        * s
        / math.sqrt(n),
        "t is taken with n - 1, the number of differences less one.": t.ppf(0.975, n) * s / math.sqrt(n),
        "That divides by n in the standard deviation. From a sample it is n - 1: std(ddof=1) in NumPy, std() in pandas.": factor
        * differences.std()
        / math.sqrt(n),
        "That is the spread of single seeds. A mean of n has 1/√n of it.": factor * s,
        "That is one standard error, without t.": s / math.sqrt(n),
        "0.95 leaves 5 % on one side. For 2.5 % on either side it is 0.975.": t.ppf(0.95, n - 1)
        * s
        / math.sqrt(n),
    }
    half = high - mean
    if math.isclose(half, factor * s / math.sqrt(n), rel_tol=1e-3):
        return None
    for hint, value in wrong.items():
        if math.isclose(half, value, rel_tol=1e-3):
            return hint
    return (
        f"Half the width of the interval is {half:.4f}, where t · s / √n is {factor * s / math.sqrt(n):.4f}."
    )


def seeds_for_a_clear_lead(answer: int) -> None:
    """With how many seeds the largest lead of the strategy map that is not clear would be."""
    from scipy.stats import norm, t

    table = measured("domain_gap")
    race = strategy_map(table).sort_values(["clear", "lead"], ascending=[True, False]).iloc[0]
    runs = table[(table["domain"] == race["domain"]) & (table["labels"] == race["labels"])]
    runs = runs.pivot(index="seed", columns="strategy", values="test_accuracy")
    ahead, behind = runs[race["winner"]], runs[race["second"]]
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
