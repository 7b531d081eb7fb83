"""The rules by which the peers read a rate off a curve, each with the smoothing that its range test applies."""

import math
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from types import SimpleNamespace

import torch
from fastai.callback.schedule import minimum, slide, steep, valley
from fastai.learner import AvgSmoothLoss
from lightning.pytorch.tuner.lr_finder import _LRCallback, _LRFinder
from matplotlib.figure import Figure
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch_lr_finder import LRFinder

from benchmarks.peers.curves import Rule, lab_rule


def _fastai(function) -> Rule:
    """As `Learner.lr_find`: smoothed, without the first tenth, the last five and whatever comes after a NaN."""

    def rule(rates, losses):
        steps, average, smoothed = len(losses), AvgSmoothLoss(), []
        for loss in losses:
            average.accumulate(SimpleNamespace(loss=torch.tensor(loss, dtype=torch.float32)))
            smoothed.append(average.value)
        kept = slice(100 // 10, steps - 5)  # the test was one of 100 steps, wherever it stopped
        lrs, shown = torch.tensor(rates[kept]), torch.tensor(smoothed[kept])
        nans = torch.nonzero(torch.isnan(shown.view(-1)))
        if len(nans) > 0:
            lrs, shown = lrs[: min(nans)], shown[: min(nans)]
        return float(function(lrs, shown, 100)[0])

    return rule


def _lightning(rates, losses) -> float | None:
    finder = _LRFinder("exponential", rates[0], rates[-1], len(rates))
    callback = _LRCallback(len(rates), early_stop_threshold=None)
    for step, loss in enumerate(losses):
        trainer = SimpleNamespace(
            fit_loop=SimpleNamespace(batch_idx=step),
            accumulate_grad_batches=1,
            global_step=step + 1,
            should_stop=False,
            strategy=SimpleNamespace(broadcast=lambda value: value),
        )
        callback.on_train_batch_end(trainer, None, torch.tensor(loss), None, step)
    finder.results = {"lr": list(rates), "loss": callback.losses}
    return finder.suggestion()


class _Played(LRFinder):
    """torch-lr-finder's range test, in which the losses of the steps are given."""

    def __init__(self, losses):
        weight = nn.Linear(1, 1)
        super().__init__(weight, torch.optim.SGD(weight.parameters(), lr=1.0), None, device="cpu")
        self.losses = iter(losses)

    def _train_batch(self, *_, **__):
        self.optimizer.step()  # its schedulers expect one
        return next(self.losses)


def _torch_lr_finder(rates, losses) -> float | None:
    finder = _Played(losses)
    nothing = DataLoader(TensorDataset(torch.zeros(1, 1), torch.zeros(1)))
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        finder.range_test(nothing, None, rates[0], rates[-1], num_iter=len(rates), diverge_th=math.inf)
        return float(finder.plot(ax=Figure().subplots())[1])


RULES: dict[str, Rule] = {
    "lab valley": lab_rule("valley"),
    "lab steepest": lab_rule("steepest"),
    "lab minimum/10": lab_rule("minimum/10"),
    "fastai valley (default)": _fastai(valley),
    "fastai slide": _fastai(slide),
    "fastai minimum": _fastai(minimum),
    "fastai steep": _fastai(steep),
    "Lightning": _lightning,
    "torch-lr-finder": _torch_lr_finder,
}
