"""fastai: a `Learner` with groups from a splitter, `fit_one_cycle` and `lr_find`.

`vision_learner(...).fine_tune` does the same, frozen and then unfrozen, with rates that fall to a hundredth from head to
stem; but it takes its weights from the network. By default fastai goes on training the BatchNorm layers of frozen groups,
so the gradient has to reach the stem; ``train_bn=False`` is its way not to.
"""

import tempfile
from collections.abc import Callable

from fastai.callback import schedule  # noqa: F401  adds fit_one_cycle and lr_find to Learner
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.metrics import accuracy
from torch import nn

from benchmarks.peers.tasks import EPOCHS, HEAD_RATE, HIGHEST, LOWEST, STEPS, WEIGHT_DECAY, Bench


def _groups(network: nn.Sequential) -> list[list[nn.Parameter]]:
    return [list(group.parameters()) for group in network]


def _run(bench: Bench, work: Callable[[Learner], None], train_bn: bool = True) -> tuple[nn.Module, Learner]:
    network, loaders = bench.network(), bench.loaders
    with tempfile.TemporaryDirectory() as folder, bench.clock():
        learner = Learner(
            DataLoaders(*loaders.values()),
            network,
            nn.CrossEntropyLoss(),
            splitter=_groups,
            metrics=accuracy,
            wd=WEIGHT_DECAY,
            train_bn=train_bn,
            path=folder,
        )
        with learner.no_bar(), learner.no_logging():
            work(learner)
    return network.eval(), learner


def _head(bench: Bench, train_bn: bool):
    def work(learner: Learner) -> None:
        learner.freeze()
        learner.fit_one_cycle(EPOCHS["head"], bench.job.rate)

    return _run(bench, work, train_bn)[0]


def head(bench: Bench):
    return _head(bench, train_bn=True)


def head_norms_frozen(bench: Bench):
    return _head(bench, train_bn=False)


def mixed(bench: Bench):
    def work(learner: Learner) -> None:
        learner.freeze()
        learner.fit_one_cycle(EPOCHS["frozen"], HEAD_RATE, pct_start=0.99)
        learner.freeze_to(-2)
        learner.fit_one_cycle(EPOCHS["tuned"], slice(bench.job.rate / 100, bench.job.rate))

    return _run(bench, work)[0]


def full(bench: Bench):
    def work(learner: Learner) -> None:
        learner.unfreeze()
        learner.fit_one_cycle(EPOCHS["full"], slice(bench.job.rate / 100, bench.job.rate))

    return _run(bench, work)[0]


def _range_test(bench: Bench, freeze: Callable[[Learner], None]) -> list[float]:
    def work(learner: Learner) -> None:
        freeze(learner)
        learner.lr_find(LOWEST, HIGHEST, STEPS, stop_div=False, show_plot=False)

    return [float(loss) for loss in _run(bench, work)[1].recorder.losses]


def range_head(bench: Bench):
    return _range_test(bench, Learner.freeze)


def range_full(bench: Bench):
    return _range_test(bench, Learner.unfreeze)
