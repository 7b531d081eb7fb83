"""What more labels would buy: a power law through the errors at several sizes, and how far to trust it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

FEWEST = 3  # sizes


@dataclass(frozen=True, eq=False)
class PowerLaw:
    """Error = factor · labels ^ −exponent, fitted many times to resampled runs.

    Attributes
    ----------
    factors, exponents : array of shape (draws + 1,)
        The first belong to all runs, the others to the resampled ones.
    spread : float
        Standard deviation of the logarithm of a run's error around the law.
    """

    factors: np.ndarray
    exponents: np.ndarray
    spread: float

    @property
    def exponent(self) -> float:
        """Of the fit to all runs: 0.3 means that twice the labels leave 2 ** -0.3 = 81 % of the error."""
        return float(self.exponents[0])

    def error(self, labels) -> pd.DataFrame:
        """Expected test error at some numbers of labels.

        Parameters
        ----------
        labels : sequence of numbers

        Returns
        -------
        DataFrame
            labels, error (0 to 1), low and high: a 95 % interval for the law, not for a single run.
        """
        labels = np.atleast_1d(np.asarray(labels, float))
        curves = self.factors[:, None] * labels ** -self.exponents[:, None]
        low, high = np.quantile(curves[1:], (0.025, 0.975), axis=0)
        return pd.DataFrame({"labels": labels, "error": curves[0], "low": low, "high": high})

    def gain(self, labels: float, more: float = 1) -> tuple[float, float, float]:
        """By how much the error falls with ``more`` labels: the estimate and a 95 % interval, 0 to 1."""
        falls = self.factors * (labels**-self.exponents - (labels + more) ** -self.exponents)
        low, high = np.quantile(falls[1:], (0.025, 0.975))
        return float(falls[0]), float(low), float(high)

    def needed(self, error: float) -> tuple[float, float, float]:
        """Labels until the error has fallen to ``error``: the estimate and a 95 % interval; infinite where it never does."""
        with np.errstate(divide="ignore", over="ignore"):
            labels = np.where(self.exponents > 0, (self.factors / error) ** (1 / self.exponents), np.inf)
        low, high = np.quantile(labels[1:], (0.025, 0.975), method="nearest")
        return float(labels[0]), float(low), float(high)


def fit_power_law(table: pd.DataFrame, draws: int = 1000, seed: int = 0) -> PowerLaw:
    """Fit a straight line to the logarithms of error and labels, and again to resampled seeds.

    A seed is drawn with all of its runs, for runs with the same seed share their pictures; around the line each run is
    moved by the residual of another one, so that three seeds do not pass for certainty.

    Parameters
    ----------
    table : DataFrame
        A row a run: labels, seed, test_accuracy (0 to below 1).
    draws : int, default 1000

    Returns
    -------
    PowerLaw

    Raises
    ------
    ValueError
        Fewer than three sizes, or a run without any error, whose logarithm does not exist.

    Notes
    -----
    Hestness et al. 2017, "Deep learning scaling is predictable, empirically", section 2. There the curve ends at an error
    that no number of labels removes; with few sizes and much noise that third number cannot be estimated, so it is left out,
    and the law is too hopeful far to the right. Mahmood et al. 2022, "How much more data do I need?", compare forms.
    """
    sizes, errors = table["labels"].to_numpy(float), 1 - table["test_accuracy"].to_numpy(float)
    if len(np.unique(sizes)) < FEWEST:
        raise ValueError(f"{len(np.unique(sizes))} sizes are too few for a curve: measure at least {FEWEST}")
    if (errors <= 0).any():
        raise ValueError("A run without any error fits no power law: use more test pictures")
    x, y = np.log(sizes), np.log(errors)
    slope, start = np.polyfit(x, y, 1)
    line = start + slope * x
    left = y - line
    spread = float(np.sqrt((left**2).sum() / max(1, len(left) - 2)))
    generator = np.random.default_rng(seed)
    seeds = table["seed"].to_numpy()
    names, fits = np.unique(seeds), [(slope, start)]
    # What a seed has in common, and what is left for each of its runs.
    common = {name: left[seeds == name].mean() for name in names}
    own = left - np.array([common[name] for name in seeds])
    inflate = np.sqrt(len(left) / max(1, len(left) - 2))  # two numbers were fitted
    few = np.sqrt(len(names) / max(1, len(names) - 1))
    for _ in range(draws):
        drawn = dict(zip(names, generator.choice(list(common.values()), len(names)), strict=True))
        moved = np.array([drawn[name] for name in seeds]) * few + generator.choice(own, len(own)) * inflate
        fits.append(tuple(np.polyfit(x, line + moved, 1)))
    slopes, starts = np.array(fits).T
    return PowerLaw(np.exp(starts), -slopes, spread)
