"""The lab itself: `fit` and `lr_finder`."""

import math

from benchmarks.peers.tasks import EPOCHS, HEAD_RATE, HIGHEST, LOWEST, STEPS, WEIGHT_DECAY, Bench
from labutils import Settings, Stage, build_feature_extractor, fit, freeze_all_but, lr_finder


def _prepare(bench: Bench):
    job = bench.job
    settings = Settings(
        batch_size=job.batch_size,
        base_lr=job.rate,
        weight_decay=WEIGHT_DECAY,
        seed=job.seed,
        device="cpu",
    )
    return build_feature_extractor(num_classes=len(bench.domain.classes), seed=job.seed), settings


def _train(bench: Bench, plan):
    """``plan`` gives the stages as (number of trained groups, epochs, rate)."""
    model, settings = _prepare(bench)
    stages = [Stage(model.names[-groups:], epochs, rate) for groups, epochs, rate in plan]
    with bench.clock():
        fit(model, bench.domain, settings, stages)
    return model


def _range_test(bench: Bench, groups: int):
    model, settings = _prepare(bench)
    freeze_all_but(model, model.names[-groups:])
    with bench.clock():
        found = lr_finder(
            model,
            bench.domain,
            settings,
            lowest=LOWEST,
            highest=HIGHEST,
            steps=STEPS,
            stop_factor=math.inf,
        )
    return found.curve["loss"].tolist()


def head(bench: Bench):
    return _train(bench, [(1, EPOCHS["head"], bench.job.rate)])


def mixed(bench: Bench):
    return _train(bench, [(1, EPOCHS["frozen"], HEAD_RATE), (2, EPOCHS["tuned"], bench.job.rate)])


def full(bench: Bench):
    return _train(bench, [(6, EPOCHS["full"], bench.job.rate)])


def range_head(bench: Bench):
    return _range_test(bench, 1)


def range_full(bench: Bench):
    return _range_test(bench, 6)
