"""Rehearsal is joint training at ratio 1, distillation keeps old answers; all ways keep the contracts of `fit`."""

from dataclasses import replace

import pytest
import torch
from forgetting_helpers import SHORT, another_task, entered, moved, sgd, thawed
from helpers import changed, numbers, snapshot
from torch import nn
from torch.nn import functional as F

from labutils import ActivationCache, Settings, Stage, evaluate, fit, freeze_all_but
from labutils.forgetting import EWC, L2SP, Anchor, Buffer, LearningWithoutForgetting, Rehearsal
from labutils.forgetting.tasks import new_head
from labutils.training.extra_loss import ExtraLoss


@pytest.fixture
def net(tiny_net):
    return lambda seed=0: thawed(tiny_net(seed=seed))


@pytest.fixture
def other_domain(tiny_domain):
    return another_task(tiny_domain)


def test_rehearsal_at_ratio_one_is_joint_training(net, tiny_domain, other_domain):
    new, old_head = net(), net(seed=5).head
    by_hand = net()
    optimizer = sgd(by_hand)
    joint = [(tiny_domain, lambda x: by_hand.head(x)), (other_domain, new_head(by_hand, 2, 3))]
    old_head = joint[1][1].requires_grad_(False)
    for _ in range(3):
        by_hand.train()
        losses = []
        for domain, head in joint:
            pictures = by_hand.normalise(domain.images[domain.train].float() / 255)
            losses.append(
                F.cross_entropy(head(by_hand[:-1](pictures)), domain.labels[domain.train], reduction="none")
            )
        # The mean over both sets, times two: at ratio 1 half of the pictures are new.
        (2 * torch.cat(losses).mean()).backward()
        optimizer.step()
        optimizer.zero_grad()
    whole = Buffer(other_domain, other_domain.train, old_head)
    settings = Settings(epochs=3, batch_size=30, base_lr=0.05, schedule="constant", keep_best=False)
    fit(new, tiny_domain, settings, optimizer=sgd(new), against_forgetting=Rehearsal(whole, 1.0))
    right, found = snapshot(by_hand), snapshot(new)
    start = snapshot(net())
    for name, tensor in right.items():
        assert torch.allclose(found[name].float(), tensor.float(), rtol=1e-4, atol=1e-6), name
    assert sum(not torch.equal(start[name], tensor) for name, tensor in right.items()) > 5


@pytest.mark.parametrize("ratio, per_class", [(1.0, 100), (0.3, 100), (2.5, 2)])
def test_each_old_picture_comes_once_before_any_comes_again(net, tiny_domain, other_domain, ratio, per_class):
    model = net()
    buffer = Buffer.of(other_domain, new_head(model, 2), per_class)
    rehearsal = Rehearsal(buffer, ratio)
    entered(rehearsal, model, tiny_domain)
    drawn = torch.cat([rehearsal._next(n)[:, 1] for n in (7, 7, 7, 7, 2)])
    assert len(drawn) == int(30 * ratio)
    counts = drawn.bincount(minlength=48)[buffer.ids]
    assert counts.sum() == len(drawn) and counts.max() - counts.min() <= 1
    rehearsal.begin_epoch(0)
    assert torch.equal(torch.cat([rehearsal._next(n)[:, 1] for n in (3, 4, 3, 20)]), drawn), (
        "whatever the parts"
    )
    rehearsal.begin_epoch(1)
    assert not torch.equal(rehearsal._next(30)[:, 1], drawn)


def test_a_buffer_holds_training_pictures_of_every_class(tiny_domain):
    head = nn.Sequential(nn.Linear(16, 3))
    buffer = Buffer.of(tiny_domain, head, 4)
    assert tiny_domain.labels[buffer.ids].bincount().tolist() == [4, 4, 4]
    assert set(buffer.ids.tolist()) <= set(tiny_domain.train.tolist())
    assert torch.equal(buffer.ids, Buffer.of(tiny_domain, head, 4).ids)
    assert not torch.equal(buffer.ids, Buffer.of(tiny_domain, head, 4, seed=1).ids)
    assert not buffer.head[0].weight.requires_grad and buffer.head is not head
    with pytest.raises(ValueError, match="keep at least 1"):
        Buffer.of(tiny_domain, head, 0)
    for wrong in (0, -1, float("inf")):
        with pytest.raises(ValueError, match="out of range"):
            Rehearsal(buffer, wrong)
    with pytest.raises(ValueError, match="needs a Buffer"):
        Rehearsal([])


def test_old_pictures_pass_a_frozen_prefix_once(net, tiny_domain, other_domain):
    histories = []
    for cache in (ActivationCache(), ActivationCache(0)):
        model = net()
        freeze_all_but(model, model.names[2:])
        rehearsal = Rehearsal(Buffer.of(other_domain, new_head(model, 2), 5))
        histories.append(fit(model, tiny_domain, SHORT, cache=cache, against_forgetting=rehearsal))
        if cache.limit:
            assert cache.misses == 3, "training, validation and old pictures"
    for one, other in zip(*map(numbers, histories), strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_distillation_starts_at_nothing_and_pulls_the_old_answers_back(net, tiny_domain):
    model, head = net(), new_head(net(), 4, 9)
    keep = LearningWithoutForgetting(net(), head, strength=1.0)
    trainer = entered(keep, model, tiny_domain)
    ids = tiny_domain.train[:6]
    features = trainer.features(trainer.inputs.compute(ids, None))
    assert float(keep.loss(ids, features)) == pytest.approx(0, abs=1e-6)
    moved_features = (features + 0.5).detach().requires_grad_(True)
    keep.loss(ids, moved_features).backward()
    found, moved_features.grad = moved_features.grad.clone(), None
    # Equation 2 of the paper: the cross-entropy of softened answers, whose gradient is the same.
    then = (head(features) / 2).softmax(1).detach()
    (-(then * (head(moved_features) / 2).log_softmax(1)).sum(1).mean()).backward()
    assert torch.allclose(found, moved_features.grad, rtol=1e-4, atol=1e-7) and found.abs().max() > 0


def test_distillation_records_its_targets_anew_for_other_pictures(net, tiny_domain):
    head = new_head(net(), 4, 9)
    keep = LearningWithoutForgetting(net(), head)
    for domain in (tiny_domain, replace(tiny_domain, images=255 - tiny_domain.images)):
        trainer = entered(keep, net(), domain)
        ids = domain.train[:6]
        features = trainer.features(trainer.inputs.compute(ids, None))
        assert float(keep.loss(ids, features)) == pytest.approx(0, abs=1e-6), "nothing has moved yet"


def test_distillation_keeps_old_answers_nearer(net, tiny_domain):
    head, gap = new_head(net(), 4, 9), {}
    with torch.no_grad():
        head[0].weight *= 5
    for strength in (0.0, 20.0):
        model = net()
        keep = LearningWithoutForgetting(net(), head, strength)
        fit(model, tiny_domain, replace(SHORT, epochs=4, base_lr=1e-2, lr_decay=1.0), against_forgetting=keep)
        answers = []
        for groups in (net(), model):
            groups.head = head
            answers.append(evaluate(groups, tiny_domain, "validation").logits.log_softmax(1))
        gap[strength] = float(F.kl_div(answers[1], answers[0], reduction="batchmean", log_target=True))
    assert gap[20.0] < 0.5 * gap[0.0]


def test_distillation_refuses_what_cannot_be_meant(net):
    with pytest.raises(ValueError, match="at least one old task"):
        LearningWithoutForgetting(net(), [])
    for options in ({"strength": -1}, {"temperature": 0}):
        with pytest.raises(ValueError, match="strength=.*temperature="):
            LearningWithoutForgetting(net(), net().head, **options)


def every_way(net, domain, other) -> dict[str, ExtraLoss]:
    model = net()
    model.head = new_head(model, len(other.classes))
    return {
        "L2-SP": L2SP(model, 0.1),
        "EWC": EWC(Anchor.of(model, other), 100.0),
        "rehearsal": Rehearsal(Buffer.of(other, model.head, 3), 0.5),
        "distillation": LearningWithoutForgetting(model, model.head),
    }


WAYS = ("L2-SP", "EWC", "rehearsal", "distillation")


@pytest.mark.parametrize("way", WAYS)
def test_a_batch_in_parts_gives_the_weights_of_a_whole_one(net, tiny_domain, other_domain, way):
    ends = []
    for parts in (1, 3):
        model = net()
        settings = Settings(epochs=2, batch_size=7, accumulate=parts, keep_best=False)
        extra = every_way(net, tiny_domain, other_domain)[way]
        fit(model, tiny_domain, settings, optimizer=sgd(model), against_forgetting=extra)
        ends.append(snapshot(model))
    assert all(
        torch.allclose(ends[0][name].float(), ends[1][name].float(), rtol=1e-3, atol=1e-5) for name in ends[0]
    )


@pytest.mark.parametrize("way", WAYS)
def test_resume_is_exact_and_another_run_is_kept_apart(net, tiny_domain, other_domain, tmp_path, way):
    stages = [Stage(("head",), 1, 1e-2), Stage(net().names, 3, 1e-3)]
    whole = net()
    history = fit(
        whole, tiny_domain, SHORT, stages, against_forgetting=every_way(net, tiny_domain, other_domain)[way]
    )
    resumed = net()
    with pytest.raises(KeyboardInterrupt):
        fit(
            resumed,
            tiny_domain,
            SHORT,
            stages,
            checkpoint=tmp_path / "run.pt",
            on_epoch=interrupt_at(3),
            against_forgetting=every_way(net, tiny_domain, other_domain)[way],
        )
    resumed = net()
    continued = fit(
        resumed,
        tiny_domain,
        SHORT,
        stages,
        checkpoint=tmp_path / "run.pt",
        against_forgetting=every_way(net, tiny_domain, other_domain)[way],
    )
    assert numbers(continued) == numbers(history)
    assert not changed(snapshot(whole), resumed)
    with pytest.raises(ValueError, match="other extra loss"):
        fit(net(), tiny_domain, SHORT, stages, checkpoint=tmp_path / "run.pt")


def interrupt_at(epoch: int):
    def on_epoch(row):
        if row["epoch"] == epoch:
            raise KeyboardInterrupt

    return on_epoch


@pytest.mark.parametrize("way", WAYS)
def test_frozen_groups_and_buffers_stay_and_heads_of_old_tasks_too(net, tiny_domain, other_domain, way):
    model = net()
    freeze_all_but(model, model.names[-2:])
    extra = every_way(net, tiny_domain, other_domain)[way]
    before = snapshot(model)
    fit(model, tiny_domain, SHORT, against_forgetting=extra)
    moved_names = changed(before, model)
    assert moved_names and {name.split(".")[0] for name in moved_names} <= set(model.names[-2:])
    assert not any("running" in name or "tracked" in name for name in moved_names)


def test_the_history_speaks_of_the_new_task_alone(net, tiny_domain):
    model = moved(net())
    rate = Settings(epochs=1, batch_size=30, base_lr=1e-12, keep_best=False)
    history = fit(model, tiny_domain, rate, against_forgetting=L2SP(net(), 10.0))
    assert history["train_loss"][0] == pytest.approx(evaluate(model, tiny_domain, "train").loss, rel=1e-4)


def test_no_extra_loss_changes_nothing(net, tiny_domain):
    plain, with_none, with_zero = net(), net(), net()
    start = net()
    settings = replace(SHORT, weight_decay=0.0)
    fit(plain, tiny_domain, settings)
    fit(with_none, tiny_domain, settings, against_forgetting=None)
    fit(with_zero, tiny_domain, settings, against_forgetting=L2SP(start, 0.0))
    assert not changed(snapshot(plain), with_none) and not changed(snapshot(plain), with_zero)
