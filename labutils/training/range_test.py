"""Learning-rate range test: train a copy for some steps at ever higher rates and see where the loss falls."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
import torch

from labutils.data import Domain
from labutils.data.splits import choose
from labutils.networks.groups import LayerGroups
from labutils.runtime.checks import is_whole
from labutils.runtime.progress import progress_bar
from labutils.runtime.seeds import derived_seed, seeded
from labutils.training.activation_cache import ActivationCache
from labutils.training.settings import Settings
from labutils.training.stages import Stage
from labutils.training.trainer import Trainer

FEWEST_STEPS = 10
# The sweep passes the rate of the lowest loss in a few steps, a training stays there. Chosen on heads of other draws of labels
# than those of the benchmark: a third or a fifth cost more.
BELOW = 4
HELD_OUT = f"held-out minimum/{BELOW}"
FLAT = "the loss is flat: no rate in the range makes it fall by more than its noise"
RISES = (
    "the loss rises before it has fallen by more than its noise: begin with a lower rate, or use larger batches, which are "
    "less noisy"
)
LOOKS, MOST = 25, 256  # at the held-out pictures, and how many these are: more looks found no better rate


@dataclass(frozen=True, eq=False)
class RangeTest:
    """What the range test saw.

    Attributes
    ----------
    curve : DataFrame
        A row a step: rate (of the head), loss (mean over the batch), smoothed, and held_out, the loss on some validation
        pictures before the step (NaN where not looked at).
    suggestions : dict of str to float
        "held-out minimum/4", a quarter of the rate with the lowest held-out loss; of the losses of the batches "steepest",
        "valley" and "minimum/10". What a curve does not support is missing.
    reason, stopped : str or None, str
        Why there is no suggestion; why the test ended.
    """

    curve: pd.DataFrame
    suggestions: dict[str, float]
    reason: str | None
    stopped: str

    @property
    def suggestion(self) -> float:
        """The rate to begin with: "held-out minimum/4", or else "valley". Raises ValueError with the reason for none."""
        if self.reason:
            raise ValueError(f"No rate can be suggested: {self.reason}")
        return self.suggestions.get(HELD_OUT) or self.suggestions["valley"]

    def plot(self):
        """Draw the curve and the suggestions. Returns a matplotlib Figure."""
        from labutils.plots.range_test import plot_lr_finder

        return plot_lr_finder(self.curve, self.suggestions, self.reason)


def lr_finder(
    model: LayerGroups,
    domain: Domain,
    settings: Settings = Settings(),
    stages: Sequence[Stage] | Stage | None = None,
    *,
    optimizer: torch.optim.Optimizer | None = None,
    cache: ActivationCache | None = None,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    stop_factor: float = 4.0,
) -> RangeTest:
    """Raise the learning rate from ``lowest`` to ``highest`` over ``steps`` optimizer steps and record the loss.

    Batches differ, and a small training set is learned by heart at absurd rates. So the test also looks, 25 times, at the
    loss of the same validation pictures: at most 256, eight batches, and half as many as are trained on. Not so where
    BatchNorm normalises by the batch.

    Works on copies and draws from generators of its own: training afterwards is bit-identical to training without the test.
    Groups keep the ratios of their rates; a short training set is gone through again and again.

    Parameters
    ----------
    model : LayerGroups
    domain : Domain
        Batches come from ``domain.train``, as in `fit`; held-out pictures from ``domain.validation``.
    settings : Settings
        Batch size, precision, augmentation and decay of the rates are those of the training to come.
    stages : sequence of Stage, or Stage, optional
        A plan, whose first stage is tested, or the stage to test. Default exactly the weights with ``requires_grad``.
    optimizer : Optimizer, optional
        Default `discriminative_lr_optimizer` with the settings. The rates swept are those of the head, by identity. It must
        hold every weight that the test trains.
    cache : ActivationCache, optional
        Shared with `fit`, the frozen prefix is run only once for both.
    lowest : float, default 1e-6
    highest : float, default 10.0
        Rates of the head, evenly spaced on the logarithm, one a step.
    steps : int, default 100
        At least 10.
    stop_factor : float, default 4
        Stop when the smoothed loss exceeds this many times its lowest value so far.

    Returns
    -------
    RangeTest

    Raises
    ------
    ValueError
        On an empty range, too few steps, or whatever `fit` refuses before training.

    Notes
    -----
    Smith 2017, "Cyclical learning rates for training neural networks", section 3.3, LR range test.
    """
    if not (all(isinstance(rate, Real) for rate in (lowest, highest)) and 0 < lowest < highest < math.inf):
        raise ValueError(f"The range {lowest!r} to {highest!r} is empty: 0 < lowest < highest is needed")
    if not (is_whole(steps) and steps >= FEWEST_STEPS):
        enough = f"use at least {FEWEST_STEPS}, 100 is usual, in whole numbers"
        raise ValueError(f"steps={steps!r} is too few to see a shape: {enough}")
    # Together, so that the copy of the optimizer steps the copied weights.
    model, optimizer = copy.deepcopy((model, optimizer))
    plan = stages if stages is None or isinstance(stages, Stage) else list(stages)[:1]
    trainer = Trainer(model, domain, settings, plan, optimizer, cache)
    trainer.rates_relative_to_head()
    trainer.enter(trainer.stages[0])
    rates, losses, held_out = np.geomspace(lowest, highest, steps), [], np.full(steps, np.nan)
    sample, every = _sample(trainer), max(1, steps // LOOKS)
    stopped, running, lowest_running = "all rates were tried", 0.0, math.inf
    with (
        seeded(derived_seed(settings.seed, "range test"), trainer.device),
        progress_bar(total=steps, desc="Range test") as bar,
    ):
        model.train()
        batches, source, epoch = [], None, -1
        for step, rate in enumerate(rates):
            if not batches:
                epoch += 1
                batches = list(trainer.batches(epoch))
                source = trainer.source(epoch)
            if len(sample) and step % every == 0:  # so the first is that of the untouched weights
                held_out[step] = trainer.evaluate(sample).loss
            trainer.set_rate(rate)
            loss = float(trainer.backward(batches.pop(0), source)[0])
            losses.append(loss)
            bar.update()
            if not math.isfinite(loss):
                stopped = f"the loss was not a number at rate {rate:.2g}"
                break
            # Only for the stop: five steps of memory, corrected for the start.
            running = 0.8 * running + 0.2 * loss
            unbiased = running / (1 - 0.8 ** (step + 1))
            lowest_running = min(lowest_running, unbiased)
            if step >= FEWEST_STEPS and unbiased > stop_factor * lowest_running:
                stopped = f"the loss rose above {stop_factor:g} times its lowest value"
                break
            trainer.update()
    curve, suggestions, reason = suggest(rates[: len(losses)], losses)
    curve["held_out"] = held_out[: len(losses)]
    if (rate := below_minimum(curve)) is not None:
        suggestions, reason = {HELD_OUT: rate, **suggestions}, None
    return RangeTest(curve, suggestions, reason, stopped)


def _sample(trainer: Trainer) -> torch.Tensor:
    """Ids of the validation pictures to look at: the same for every seed, so that the cache has them."""
    domain = trainer.domain
    if trainer.norms_see_batches:  # stored statistics mean nothing during the first steps
        return domain.validation[:0]
    classes = len(domain.labels[domain.validation].unique())
    most = max(classes, min(MOST, 8 * trainer.settings.batch_size, len(domain.train) // 2))
    return choose(domain.validation, domain.labels, min(most, len(domain.validation)), seed=0)


def below_minimum(curve: pd.DataFrame) -> float | None:
    """A quarter of the rate with the lowest ``held_out``, between the looks on straight lines; None where `suggest` is silent."""
    looked = np.flatnonzero(curve["held_out"].notna())
    if not len(looked):
        return None
    steps = np.arange(looked[-1] + 1)
    between = np.interp(steps, looked, curve["held_out"].iloc[looked])
    found = suggest(curve["rate"].iloc[steps], between)[1]
    return 10 * found["minimum/10"] / BELOW if found else None


def suggest(rates, losses) -> tuple[pd.DataFrame, dict[str, float], str | None]:
    """Smooth a curve of losses over rates by a centred Gaussian and read rates off it.

    A running average, as other finders use, answers late: with β = 0.98 by fifty steps, half of the whole test.

    Parameters
    ----------
    rates, losses : arrays of shape (n,)
        Rates rising, evenly spaced on the logarithm; losses may end in NaN or infinity.

    Returns
    -------
    curve : DataFrame
        rate, loss, smoothed.
    suggestions : dict
        "steepest": fastest fall per factor of the rate; "valley": middle, on the logarithm, of the fall from the starting
        level to the lowest point; "minimum/10": a tenth of the rate with the lowest loss.
    reason : str or None
        None, or why there is no suggestion: too short, flat within the noise, or rising.

    Examples
    --------
    >>> rates = np.geomspace(1e-6, 10, 100)
    >>> losses = 2 - 1.5 / (1 + (1e-3 / rates) ** 2)
    >>> suggest(rates, losses)[2] is None
    True
    >>> suggest(rates, np.full(100, 2.0))[2]
    'the loss is flat: no rate in the range makes it fall by more than its noise'
    """
    from scipy.ndimage import gaussian_filter1d

    rates, losses = np.asarray(rates, float), np.asarray(losses, float)
    finite = np.isfinite(losses)
    usable = len(losses) if finite.all() else int(np.argmin(finite))
    curve = pd.DataFrame({"rate": rates, "loss": losses, "smoothed": np.nan})
    if usable < FEWEST_STEPS:
        few = f"only {usable} steps gave a finite loss, at least {FEWEST_STEPS} are needed; begin with a lower rate"
        return curve, {}, few
    raw, width = losses[:usable], max(1.0, usable / 30)
    smoothed = gaussian_filter1d(raw, width, mode="nearest")
    curve.loc[: usable - 1, "smoothed"] = smoothed

    # The blow-up at the end is no noise, so the noise is judged up to the lowest point.
    lowest = int(smoothed.argmin())
    start = float(np.median(smoothed[: max(3, usable // 10)]))
    # The first loss is that of the untouched weights; a test that begins too high has blown up right after it,
    # and coming down from there is no learning.
    start = min(start, raw[0] + abs(raw[0]))
    fall = start - smoothed[lowest]
    steps = np.diff(raw[: max(lowest, usable // 2) + 1])
    noise = 1.4826 * float(np.median(np.abs(steps - np.median(steps)))) / math.sqrt(2)
    noise_after_smoothing = noise / math.sqrt(2 * math.sqrt(math.pi) * width)
    # The lowest of many noisy points lies some deviations down by chance alone.
    if fall <= max(6 * noise_after_smoothing, 0.02 * abs(start)):
        # Where the loss has doubled, its noise has grown with it and is no excuse.
        rising = smoothed.max() > start + max(min(6 * noise_after_smoothing, abs(start)), 0.02 * abs(start))
        return curve, {}, RISES if rising else FLAT

    slope = np.gradient(smoothed, np.log(rates[:usable]))
    steepest = int(slope[: lowest + 1].argmin())
    # A tenth and nine tenths of the fall: flat shoulders of the curve do not move the middle.
    last = int(np.argmax(smoothed <= start - 0.9 * fall))
    first = int(np.flatnonzero(smoothed[: last + 1] >= start - 0.1 * fall).max(initial=0))
    suggestions = {
        "steepest": float(rates[steepest]),
        "valley": float(math.sqrt(rates[first] * rates[last])),
        "minimum/10": float(rates[lowest] / 10),
    }
    return curve, suggestions, None
