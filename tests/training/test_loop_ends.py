"""How a run ends: by a loss that is no number, by patience, on request; and with which weights."""

import math
import re
import threading

import pytest
import torch
from helpers import changed, numbers, snapshot

from labutils import Evaluation, Settings, Stage, TrainingDiverged, evaluate, fit, freeze_all_but
from labutils.runtime.progress import Stopped, stoppable
from labutils.training.trainer import Trainer

THREE_STEPS = Settings(epochs=4, batch_size=10, base_lr=0.01, schedule="constant")


def poison(net, value: float) -> None:
    with torch.no_grad():
        net.head[-1].bias[0] = value


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_at_once_and_the_good_weights_come_back(any_net, tiny_domain, value):
    net, good = any_net(), []
    freeze_all_but(net, net.names[-2:])

    def after(row):
        if row["epoch"] == 2:
            good.append(snapshot(net))
            poison(net, value)

    with pytest.raises(TrainingDiverged, match=r"at step 7, head rate 0\.01\b.*lower base_lr"):
        fit(net, tiny_domain, THREE_STEPS, on_epoch=after)
    assert not changed(good[0], net)


def test_within_an_epoch_the_step_is_reported_and_the_weights_of_the_last_whole_epoch_come_back(
    any_net, tiny_domain
):
    net, good, calls = any_net(), [], []

    def hook(module, inputs, output):
        if module.training:
            calls.append(1)
            return output * math.nan if len(calls) == 5 else output

    net.head.register_forward_hook(hook)
    with pytest.raises(TrainingDiverged, match="step 5,"):
        fit(net, tiny_domain, THREE_STEPS, on_epoch=lambda row: good.append(snapshot(net)))
    assert len(good) == 1 and not changed(good[0], net)


@pytest.mark.parametrize("epochs", [2, 3])
def test_weights_broken_by_the_last_step_of_an_epoch_are_never_taken_for_good(any_net, tiny_domain, epochs):
    """The loss of a step is computed before its update: the last update of an epoch can break the weights too."""
    net, good, steps = any_net(), [], []
    optimizer = torch.optim.SGD([{"params": list(net.head.parameters()), "name": "head"}], lr=0.01)

    def breaking(optimizer, *_):
        steps.append(1)
        if len(steps) == 6:  # the last one of the second epoch
            net.head[-1].weight.grad.fill_(math.nan)

    optimizer.register_step_pre_hook(breaking)
    options = Settings(epochs=epochs, batch_size=10, base_lr=0.01, keep_best=False)
    with pytest.raises(TrainingDiverged):
        fit(net, tiny_domain, options, optimizer=optimizer, on_epoch=lambda row: good.append(snapshot(net)))
    assert not changed(good[0], net), "the weights after the first epoch were the last good ones"


def test_a_diverged_run_names_the_true_rate_of_the_schedule(tiny_net, tiny_domain):
    net = tiny_net()
    poison(net, math.nan)
    options = Settings(epochs=10, batch_size=10, base_lr=0.3)  # warm-up over 3 of 30 steps
    with pytest.raises(TrainingDiverged) as caught:
        fit(net, tiny_domain, options)
    assert re.search(r"step 1, head rate 0\.1\b", str(caught.value))


def test_patience_ends_a_stage_and_the_next_one_begins_anew(tiny_net, tiny_domain):
    net = tiny_net()
    # At this rate nothing moves, so only the first epoch is better than none before.
    stages = [Stage(("head",), 9, 1e-30), Stage(net.names, 9, 1e-30)]
    net.stored_statistics = True
    history = fit(net, tiny_domain, Settings(batch_size=30, patience=2), stages)
    assert history["stage"].tolist() == [1, 1, 1, 2, 2]


def test_after_patience_the_next_stage_starts_from_the_best_weights(any_net, tiny_domain, monkeypatch):
    scores = iter([(0.5, 0.9), (1.0, 0.5), (1.0, 0.5), (1.0, 0.5)])
    empty = torch.empty(0)
    monkeypatch.setattr(Trainer, "evaluate", lambda self, ids: Evaluation(*next(scores), empty, empty))
    net, kept = any_net(), []
    stages = [Stage(("head",), 5, 0.01), Stage(("head",), 1, 1e-30)]  # the second stage moves nothing
    options = Settings(batch_size=30, patience=2, keep_best=False)
    history = fit(net, tiny_domain, options, stages, on_epoch=lambda row: kept.append(snapshot(net)))
    assert history["stage"].tolist() == [1, 1, 1, 2]
    assert torch.equal(net.head[-1].weight, kept[0]["head.linear.weight"])
    assert not torch.equal(net.head[-1].weight, kept[2]["head.linear.weight"])


def test_what_the_next_stage_freezes_stays_at_its_best_too(any_net, tiny_domain, monkeypatch):
    scores = iter([(0.5, 0.9), (1.0, 0.5), (1.0, 0.5), (0.4, 0.95)])  # the last one is the best of all
    empty = torch.empty(0)
    monkeypatch.setattr(Trainer, "evaluate", lambda self, ids: Evaluation(*next(scores), empty, empty))
    net, kept = any_net(), []
    stages = [Stage(net.names[-2:], 5, 0.01), Stage(("head",), 1, 0.01)]
    fit(
        net,
        tiny_domain,
        Settings(batch_size=30, patience=2),
        stages,
        on_epoch=lambda row: kept.append(snapshot(net)),
    )
    assert not changed(kept[3], net), "the network is the one that was looked at"
    assert {name.split(".")[0] for name in changed(kept[0], net)} == {"head"}


@pytest.mark.parametrize("keep_best", [True, False])
def test_the_best_or_the_last_weights_are_kept(any_net, tiny_domain, keep_best, monkeypatch):
    # Accuracy decides, and among equals the loss: the second epoch is the best one.
    scores = iter([(1.0, 0.5), (0.5, 0.9), (0.7, 0.9), (0.1, 0.2)])
    empty = torch.empty(0)
    monkeypatch.setattr(Trainer, "evaluate", lambda self, ids: Evaluation(*next(scores), empty, empty))
    net, kept = any_net(), []
    options = Settings(epochs=4, batch_size=10, base_lr=0.01, keep_best=keep_best)
    fit(net, tiny_domain, options, on_epoch=lambda row: kept.append(snapshot(net)))
    assert changed(kept[1], net) == (set() if keep_best else {"head.linear.weight", "head.linear.bias"})
    assert not changed(kept[1 if keep_best else 3], net)


def test_the_scores_in_the_history_are_those_of_the_weights(any_net, tiny_domain):
    net = any_net()
    freeze_all_but(net, net.names[-2:])
    history = fit(net, tiny_domain, Settings(epochs=2, batch_size=10, keep_best=False))
    seen = evaluate(net, tiny_domain, "validation")
    assert seen.loss == pytest.approx(history["validation_loss"].iloc[-1], rel=1e-4)
    assert seen.accuracy == pytest.approx(history["validation_accuracy"].iloc[-1])


def test_on_epoch_gets_every_row_and_can_end_the_training(tiny_net, tiny_domain):
    rows = []

    def enough(row):
        rows.append(row)
        return row["epoch"] == 2

    history = fit(tiny_net(), tiny_domain, THREE_STEPS, on_epoch=enough)
    assert len(history) == 2 and history.to_dict("records") == rows


def test_validation_is_looked_at_every_so_often_and_at_the_end_of_each_stage(any_net, tiny_domain):
    plain = numbers(fit(any_net(), tiny_domain, Settings(epochs=5, batch_size=10)))
    rare = numbers(fit(any_net(), tiny_domain, Settings(epochs=5, batch_size=10, validate_every=3)))
    looked = [not math.isnan(row["validation_loss"]) for row in rare]
    assert looked == [False, False, True, False, True]
    assert [row["train_loss"] for row in rare] == [row["train_loss"] for row in plain]
    assert rare[4] == plain[4]


def interrupted(net, domain, options, step: int, stages=None, kind=KeyboardInterrupt):
    """Train until an exception in the middle of a step, before its update. Returns it and the weights after each epoch."""
    steps, kept = [], [snapshot(net)]
    optimizer = torch.optim.SGD([{"params": list(net.parameters()), "name": "all"}], lr=0.01)

    def interrupt(*_):
        steps.append(1)
        if len(steps) == step:
            raise kind

    optimizer.register_step_pre_hook(interrupt)
    with pytest.raises(kind) as caught:
        fit(
            net, domain, options, stages, optimizer=optimizer, on_epoch=lambda row: kept.append(snapshot(net))
        )
    return caught.value, kept


@pytest.mark.parametrize("keep_best", [True, False])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, ZeroDivisionError])
def test_interrupted_in_a_step_the_network_can_be_used_and_the_history_is_there(
    any_net, tiny_domain, monkeypatch, keep_best, kind
):
    scores = iter([0.5, 0.9, 0.7, 0.2])
    empty = torch.empty(0)
    monkeypatch.setattr(Trainer, "evaluate", lambda self, ids: Evaluation(1.0, next(scores), empty, empty))
    net = any_net()
    freeze_all_but(net, net.names[-2:])
    asked = [parameter.requires_grad for parameter in net.parameters()]
    options = Settings(epochs=9, batch_size=10, base_lr=0.01, keep_best=keep_best)
    stop, kept = interrupted(
        net, tiny_domain, options, step=11, kind=kind
    )  # the second one of the fourth epoch
    assert not changed(kept[2 if keep_best else 3], net)
    assert not any(module.training for module in net.modules())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert [parameter.requires_grad for parameter in net.parameters()] == asked
    assert stop.history["validation_accuracy"].tolist() == [0.5, 0.9, 0.7]
    held = "epoch 2, the best one" if keep_best else "epoch 3;"
    assert re.search(
        f"ended after 3 whole epochs.*evaluation mode.*weights of {held}.*history", stop.__notes__[0]
    )


def test_interrupted_before_any_look_at_validation_the_last_whole_epoch_counts(any_net, tiny_domain):
    net = any_net()
    options = Settings(epochs=9, batch_size=10, base_lr=0.01, validate_every=5)
    stop, kept = interrupted(net, tiny_domain, options, step=8)
    assert len(stop.history) == 2 and not changed(kept[2], net) and changed(kept[0], net)


def test_interrupted_in_the_first_epoch_the_network_is_as_it_was(any_net, tiny_domain):
    net = any_net()
    freeze_all_but(net, net.names)
    stop, kept = interrupted(net, tiny_domain, Settings(epochs=9, batch_size=10), step=3)
    assert len(stop.history) == 0 and not changed(kept[0], net) and not net.training
    assert "weights it began with" in stop.__notes__[0]


def test_stopped_from_outside_it_ends_as_after_an_interruption(any_net, tiny_domain):
    net, stop, kept = any_net(), threading.Event(), []

    def after(row):
        kept.append(snapshot(net))
        if row["epoch"] == 2:
            stop.set()

    options = Settings(epochs=9, batch_size=10, base_lr=0.01, keep_best=False)
    with stoppable(stop), pytest.raises(Stopped) as caught:
        fit(net, tiny_domain, options, on_epoch=after)
    assert len(caught.value.history) == 2 and not changed(kept[1], net) and not net.training


def test_a_diverged_run_too_carries_its_history(any_net, tiny_domain):
    net = any_net()
    with pytest.raises(TrainingDiverged) as caught:
        fit(net, tiny_domain, THREE_STEPS, on_epoch=lambda row: poison(net, math.nan))
    assert len(caught.value.history) == 1 and not net.training


def test_balanced_accuracy_chooses_the_weights_and_ends_the_training_where_it_is_asked_for(
    any_net, tiny_domain, monkeypatch
):
    # Eight pictures of the first class, one of the second: rarely answering the second is right most often.
    labels = torch.tensor([0] * 8 + [1])
    answers = [0] * 9, [0] * 6 + [1] * 3, [0] * 9, [0] * 9

    def go(select_by):
        seen = iter(answers)

        def looked(self, ids):
            logits = torch.nn.functional.one_hot(torch.tensor(next(seen)), 3).float()
            return Evaluation(1.0, float((logits.argmax(1) == labels).float().mean()), logits, labels)

        monkeypatch.setattr(Trainer, "evaluate", looked)
        net, kept = any_net(), []
        options = Settings(epochs=4, batch_size=10, base_lr=0.01, patience=2, select_by=select_by)
        history = fit(net, tiny_domain, options, on_epoch=lambda row: kept.append(snapshot(net)))
        return net, kept, history

    net, kept, history = go("accuracy")
    assert len(history) == 3 and not changed(kept[0], net), "eight of nine, at once"
    net, kept, history = go("balanced accuracy")
    assert len(history) == 4 and not changed(kept[1], net)
    assert history["validation_balanced_accuracy"].tolist() == pytest.approx([0.5, 0.875, 0.5, 0.5])
