"""How the parts write down what they found."""

import math

import pandas as pd

from labutils.data import Domain
from labutils.headless.plan import Plan
from labutils.runtime.files import atomic_write
from labutils.training.evaluation import FEWEST, FEWEST_OF_A_CLASS


def percent(
    mean: float, low: float = float("nan"), high: float = float("nan"), pictures: int | None = None
) -> str:
    """An accuracy with its interval over seeds, if there is one, and with that of so many test pictures."""
    intervals = [] if low != low else [f"{low:.1%} to {high:.1%} over the seeds"]
    if pictures is not None:
        low, high = wilson(mean, pictures)
        intervals.append(f"{low:.1%} to {high:.1%} for {pictures} test pictures")
    return f"{mean:.1%}" + (f" (95 % interval {', '.join(intervals)})" if intervals else "")


def wilson(accuracy: float, pictures: int) -> tuple[float, float]:
    """Where an accuracy on ever more pictures would lie, with 95 % confidence (Wilson 1927)."""
    from scipy.stats import binomtest

    return tuple(binomtest(round(accuracy * pictures), pictures).proportion_ci(0.95, "wilson"))


def smallest_lead(first: float, second: float, pictures: int) -> float:
    """A lead, 0 to 1, that so many test pictures can just tell from none, if both err independently (95 %)."""
    return 1.96 * math.sqrt((first * (1 - first) + second * (1 - second)) / pictures)


def worth(domain: Domain) -> str:
    """What the test pictures of a domain can tell, in sentences."""
    labels = domain.labels[domain.test]
    counts = labels.bincount(minlength=len(domain.classes))
    low, high = wilson(0.5, len(labels))
    text = (
        f"{len(labels)} test pictures; always predicting {domain.classes[int(counts.argmax())]!r} would give "
        f"{float(counts.max()) / len(labels):.1%}; an accuracy is known to ± {50 * (high - low):.0f} points at most"
    )
    if len(labels) < FEWEST:
        text += ". **Too few test pictures to tell anything: take no difference below for real**"
    if few := [
        f"{name} {n}"
        for name, n in zip(domain.classes, counts.tolist(), strict=True)
        if n < FEWEST_OF_A_CLASS
    ]:
        text += f". **Too few test pictures of {', '.join(few)} to tell whether they are recognised**"
    return text


def keep(plan: Plan, name: str, table: pd.DataFrame, figure) -> None:
    """Table and figure into the outputs, as ``name.csv`` and ``name.png``."""
    with atomic_write(plan.outputs / f"{name}.csv") as path:
        table.to_csv(path, index=False)
    with atomic_write(plan.outputs / f"{name}.png") as path:
        figure.savefig(path, dpi=150)


def markdown(means: pd.DataFrame) -> str:
    """A table of means and intervals in per cent, under headings that can be read."""
    shown = means.copy()
    for column in ("mean", "low", "high"):
        shown[column] = shown[column].map(lambda value: "–" if pd.isna(value) else f"{value:.1%}")
    names = {"mean": "test accuracy", "low": "95 % from", "high": "to", "trained_groups": "trained groups"}
    return shown.rename(columns=names).to_markdown(index=False, disable_numparse=True)
