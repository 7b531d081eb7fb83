"""Checks for the exercises of notebook 06."""

import math
from functools import lru_cache

from labutils.course.exercises.verdict import verdict
from labutils.data import load
from labutils.networks.backbones import build_feature_extractor
from labutils.training.activation_cache import ActivationCache
from labutils.training.loop import fit
from labutils.training.range_test import RangeTest, lr_finder
from labutils.training.settings import Settings
from labutils.training.trainer import TrainingDiverged

GAIN = 0.03


def factor_of_a_step(answer: float) -> None:
    """Factor from each rate to the next in a range test of 15 steps from 1e-6 to 10."""
    steps, ratio = 15, 10 / 1e-6
    right = ratio ** (1 / (steps - 1))
    verdict(
        answer,
        right,
        f"{right:.2f} to the power of {steps - 1} is ten million. So few steps leave about two for each factor of ten.",
        [
            (
                ratio ** (1 / steps),
                "Fifteen rates, but from the first to the last of them there are only fourteen steps.",
            ),
            (
                ratio,
                "That is the factor from the first rate to the last one. Each single step multiplies by less.",
            ),
            (ratio / (steps - 1), "You divided; but each step multiplies again, so take a root."),
            (ratio / steps, "You divided; but each step multiplies again, so take a root."),
            (
                10 / (steps - 1),
                "That is what is added at each step when rates are spaced evenly. Here each is a multiple of the one before.",
            ),
            (
                1 / right,
                "That goes down instead of up: the rate rises.",
            ),
        ],
        "The factor, multiplied by itself once for each step from the first rate to the last, must give 10⁷.",
    )


def rate_for_textures(answer: float) -> None:
    """The rate that the range test suggests for a new head on 300 labelled textures of 64 px."""
    found = _textures()
    verdict(
        answer,
        found.suggestion,
        "Another head, other pictures, another rate.",
        [
            (
                found.suggestions["steepest"],
                "That is where the loss falls fastest. The suggestion goes by the held-out pictures.",
            ),
            (
                found.suggestions["valley"],
                "That is the middle of the fall. The suggestion goes by the held-out pictures.",
            ),
            (
                found.suggestions["minimum/10"],
                "That is a tenth of the rate with the lowest loss of the batches. The suggestion goes by the held-out pictures.",
            ),
            (
                lambda rate: math.isclose(float(rate), _digits_test().suggestion, rel_tol=0.01),
                "That is the suggestion for the digits: run a new test on the textures.",
            ),
            (
                lambda rate: isinstance(rate, RangeTest),
                "You gave the whole test: give its suggestion, a number.",
            ),
        ],
        "Use the default settings, all 300 pictures and a new head: `lr_finder(…).suggestion`.",
    )


def better_rate(answer: float) -> None:
    """A base rate with which the head gets three points further on the digits than with the valley."""
    valley, before = _digits()
    after = _accuracy(float(answer)) if _is_rate(answer) else math.nan
    verdict(
        answer,
        lambda rate: after >= before + GAIN,
        f"Validation accuracy {after:.1%}, with the valley {before:.1%} (measured)",
        [
            (
                lambda rate: not _is_rate(rate),
                "Give a base rate: a number above 0 and below 100.",
            ),
            (
                lambda rate: rate < valley and after < before,
                f"Validation accuracy {after:.1%}, with the valley {before:.1%}: below it, ten epochs are too short. Go up.",
            ),
            (
                lambda rate: rate > 20 * valley,
                f"Validation accuracy {after:.1%}, with the valley {before:.1%}: too high. The best rates lie between.",
            ),
        ],
        f"Validation accuracy {after:.1%}, with the valley {before:.1%}: not yet three points more. Try three times as much.",
    )


def _is_rate(answer) -> bool:
    try:
        return 0 < float(answer) < 100
    except (TypeError, ValueError):
        return False


@lru_cache(maxsize=1)
def _textures() -> RangeTest:
    few = load("textures", image_size=64).labelled(300, seed=0)
    return lr_finder(build_feature_extractor(num_classes=len(few.classes)), few)


@lru_cache(maxsize=1)
def _cache() -> ActivationCache:
    return ActivationCache()


@lru_cache(maxsize=1)
def _digits_test() -> RangeTest:
    few = load("digits", image_size=64).labelled(300, seed=0)
    return lr_finder(build_feature_extractor(num_classes=len(few.classes)), few, cache=_cache())


@lru_cache(maxsize=1)
def _digits() -> tuple[float, float]:
    """Valley for the digits, and the accuracy that training with it gives."""
    rate = _digits_test().suggestions["valley"]
    return rate, _accuracy(rate)


def _accuracy(rate: float) -> float:
    few = load("digits", image_size=64).labelled(300, seed=0)
    settings = Settings(epochs=10, base_lr=rate, keep_best=False)
    try:
        history = fit(build_feature_extractor(num_classes=len(few.classes)), few, settings, cache=_cache())
    except TrainingDiverged:
        return 0.0
    return float(history["validation_accuracy"].iloc[-1])
