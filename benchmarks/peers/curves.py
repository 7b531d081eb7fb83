"""Made-up curves of a range test for which the right answer is known, and how often a rule finds it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from labutils.training.range_test import HELD_OUT, below_minimum, suggest

RATES = np.geomspace(1e-7, 10, 100)  # fastai's range
DRAWS = 20

Rule = Callable[[np.ndarray, np.ndarray], float | None]  # rates, losses -> suggestion


def lab_rule(name: str) -> Rule:
    """The suggestion of that name that `labutils.training.range_test` gives, None where it gives a reason instead."""
    return lambda rates, losses: suggest(rates, losses)[1].get(name)


LAB_DEFAULT = f"lab {HELD_OUT} (default)"  # on real pictures it looks at other losses than the rest


def lab_default(rates, losses) -> float | None:
    """What the lab suggests by default where these are the losses of the held-out pictures."""
    return below_minimum(pd.DataFrame({"rate": rates, "held_out": losses}))


@dataclass(frozen=True)
class Curve:
    """Losses over `RATES` without noise, up to where a range test would stop.

    Parameters
    ----------
    name : str
    losses : array of shape (n,)
        n at most 100.
    noise : float
        Standard deviation of the normal noise that is added to each loss.
    right : (float, float) or None
        Lowest and highest good rate; None where no rate can be read off the curve.
    """

    name: str
    losses: np.ndarray
    noise: float
    right: tuple[float, float] | None = None

    def draw(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Rates and noisy losses."""
        noise = np.random.default_rng(seed).normal(0, self.noise, len(self.losses))
        return RATES[: len(self.losses)], self.losses + noise


def falling(centre: float) -> np.ndarray:
    """A fall from 2.3 to 0.8 around ``centre`` and a blow-up from 300 times that; ends at four times the lowest loss."""
    blow_up = np.maximum(RATES / (300 * centre), 1) ** 2 - 1
    losses = 2.3 - 1.5 / (1 + (centre / RATES) ** 1.2) + blow_up
    above = losses > 4 * losses.min()
    return losses[: above.argmax()] if above.any() else losses


def good_rates(losses: np.ndarray) -> tuple[float, float]:
    """From where a quarter of the fall is done to the lowest point."""
    lowest = int(losses.argmin())
    first = int((losses < losses[0] - 0.25 * (losses[0] - losses[lowest])).argmax())
    return float(RATES[first]), float(RATES[lowest])


def curves() -> list[Curve]:
    fall, early = falling(1e-3), falling(1e-5)
    flat = np.full(100, 2.3)
    rising = 2.3 + 0.5 * np.maximum(0, np.log10(RATES) + 4)
    nan_late = np.where(RATES[: len(fall)] > 0.3, np.nan, fall)
    return [
        *(
            Curve(f"falls around 1e-3, noise {noise}", fall, noise, good_rates(fall))
            for noise in (0, 0.05, 0.2, 0.5)
        ),
        Curve("falls around 1e-5, noise 0.05", early, 0.05, good_rates(early)),
        Curve("falls, then NaN from 0.3", nan_late, 0.05, good_rates(fall)),
        Curve("flat, noise 0", flat, 0.0),
        Curve("flat, noise 0.05", flat, 0.05),
        Curve("rising, noise 0.05", rising, 0.05),
        Curve("NaN from the first step", np.full(100, np.nan), 0.0),
        Curve("short: 8 steps", fall[:8], 0.05),
    ]


def ask(rule: Rule, rates: np.ndarray, losses: np.ndarray) -> tuple[float | None, str]:
    """The suggestion, or None, and then perhaps the error that the tool raised instead."""
    try:
        return rule(rates, losses), ""
    except Exception as error:  # whatever a tool raises is its answer
        return None, f"{type(error).__name__}: {error}"


def judge(rule: Rule, curve: Curve) -> dict:
    """How a rule does on noisy draws of a curve.

    Returns
    -------
    dict
        right (share of the draws), median, lowest and highest of the suggestions (NaN if there is none), none (share of draws
        without a suggestion), and the error of the last of these, if it ended in one: also a way to suggest nothing.
    """
    answers, right, error, draws = [], 0, "", DRAWS if curve.noise else 1
    for seed in range(draws):
        answer, raised = ask(rule, *curve.draw(seed))
        error = raised or error
        if answer is not None:
            answers.append(answer)
        if curve.right is None or answer is None:
            right += curve.right is answer
        else:
            right += curve.right[0] <= answer <= curve.right[1]
    spread = np.percentile(answers, [50, 0, 100]) if answers else [np.nan] * 3
    found = dict(zip(("median", "lowest", "highest"), map(float, spread), strict=True))
    return {"right": right / draws, **found, "none": 1 - len(answers) / draws, "error": error}
