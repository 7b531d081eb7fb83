"""An interrupted run that is started again ends exactly as one that was never interrupted."""

import contextlib
import dataclasses
import errno
import os
import resource

import pytest
import torch
from helpers import changed, numbers, snapshot

from labutils import Evaluation, Settings, Stage, fit, freeze_all_but, partial_finetune
from labutils.training.checkpoints import Progress, load_checkpoint, save_checkpoint
from labutils.training.optimizers import discriminative_lr_optimizer
from labutils.training.trainer import Trainer

OPTIONS = Settings(batch_size=8, base_lr=0.01, augmentation=("flip", "crop"), views=2)


def run(make, domain, settings=OPTIONS, how="progressively", seed=0, **more):
    net = make(dropout=0.3, seed=seed)
    stages = partial_finetune(net, 3, how=how, epochs=4, base_lr=settings.base_lr)
    return net, fit(net, domain, settings, stages, **more)


def interrupt_after(epoch: int):
    def hook(row):
        if row["epoch"] == epoch:
            raise KeyboardInterrupt

    return hook


@pytest.mark.parametrize("epoch", [1, 2, 3, 4])
def test_interrupted_and_resumed_equals_uninterrupted_over_all_stages(any_net, tiny_domain, tmp_path, epoch):
    net, whole = run(any_net, tiny_domain)
    file = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        run(any_net, tiny_domain, checkpoint=file, on_epoch=interrupt_after(epoch))
    assert file.exists() == (epoch > 1)
    torch.manual_seed(epoch)  # the new process has other generators, and made another head
    resumed, history = run(any_net, tiny_domain, seed=9 if epoch > 1 else 0, checkpoint=file)
    assert numbers(history) == numbers(whole)
    assert not changed(snapshot(net), resumed)
    assert [p.requires_grad for p in net.parameters()] == [p.requires_grad for p in resumed.parameters()]


@pytest.mark.parametrize("step", [6, 11])
def test_interrupted_in_the_middle_of_an_epoch(any_net, tiny_domain, tmp_path, step):
    net, whole = run(any_net, tiny_domain)
    steps = []

    def interrupting(*_):
        steps.append(1)
        if len(steps) == step:
            raise KeyboardInterrupt

    other = any_net(dropout=0.3)
    optimizer = discriminative_lr_optimizer(other, 0.01)
    optimizer.register_step_pre_hook(interrupting)
    stages = partial_finetune(other, 3, how="progressively", epochs=4, base_lr=0.01)
    with pytest.raises(KeyboardInterrupt):
        fit(other, tiny_domain, OPTIONS, stages, optimizer=optimizer, checkpoint=tmp_path / "run.pt")
    resumed, history = run(any_net, tiny_domain, checkpoint=tmp_path / "run.pt")
    assert numbers(history) == numbers(whole) and not changed(snapshot(net), resumed)


@pytest.mark.parametrize("more", [{"patience": 1}, {"precision": "float16"}, {"validate_every": 2}], ids=str)
def test_patience_loss_scale_and_rare_validation_are_resumed_too(tiny_net, tiny_domain, tmp_path, more):
    options = dataclasses.replace(OPTIONS, **more)
    net, whole = run(tiny_net, tiny_domain, options)
    for epoch in (2, 3, 4):
        file = tmp_path / f"{epoch}.pt"
        if len(whole) >= epoch:
            with pytest.raises(KeyboardInterrupt):
                run(tiny_net, tiny_domain, options, checkpoint=file, on_epoch=interrupt_after(epoch))
        resumed, history = run(tiny_net, tiny_domain, options, checkpoint=file)
        assert str(numbers(history)) == str(numbers(whole))  # as text, for NaN equals NaN there
        assert not changed(snapshot(net), resumed)


def test_the_best_weights_before_the_interruption_are_still_the_best_after_it(
    any_net, tiny_domain, tmp_path, monkeypatch
):
    empty = torch.empty(0)

    def go(accuracies, hook=None):
        scores = iter(accuracies)
        monkeypatch.setattr(
            Trainer, "evaluate", lambda self, ids: Evaluation(1.0, next(scores), empty, empty)
        )
        return run(any_net, tiny_domain, checkpoint=tmp_path / "run.pt", on_epoch=hook)

    with pytest.raises(KeyboardInterrupt):
        go((0.9, 0.1, 0.1), interrupt_after(3))
    best = torch.load(tmp_path / "run.pt", weights_only=True)["progress"]["best"]
    net, history = go((0.5, 0.6))
    assert history["validation_accuracy"].tolist() == [0.9, 0.1, 0.5, 0.6]
    assert not changed(best, net), "the weights after the first epoch"


def test_a_finished_run_is_read_and_not_trained_again(tiny_net, tiny_domain, tmp_path):
    net, whole = run(tiny_net, tiny_domain, checkpoint=tmp_path / "run.pt")
    again, history = run(
        tiny_net, tiny_domain, checkpoint=tmp_path / "run.pt", on_epoch=lambda row: pytest.fail("trained")
    )
    assert history.equals(whole) and not changed(snapshot(net), again)


@pytest.mark.parametrize("interrupted", [None, 2], ids=["finished", "interrupted"])
def test_a_run_is_trained_on_for_more_epochs_at_the_rates_of_the_longer_schedule(
    any_net, tiny_domain, tmp_path, interrupted
):
    def go(epochs, schedule, hook=None, **more):
        net = any_net(dropout=0.3)
        options = dataclasses.replace(OPTIONS, epochs=epochs, schedule=schedule)
        return net, fit(net, tiny_domain, options, on_epoch=hook, **more)

    for schedule in ("constant", "cosine"):
        file = tmp_path / f"{schedule}.pt"
        with pytest.raises(KeyboardInterrupt) if interrupted else contextlib.nullcontext():
            go(3, schedule, interrupt_after(interrupted), checkpoint=file)
        net, history = go(5, schedule, checkpoint=file)
        planned, whole = go(5, schedule)
        assert history["epoch"].tolist() == [1, 2, 3, 4, 5] and history["step"].equals(whole["step"])
        rates = history["learning_rate"].tolist(), whole["learning_rate"].tolist()
        done = 1 if interrupted else 3
        assert rates[0][done:] == rates[1][done:], "where the longer schedule is"
        if schedule == "constant":
            assert numbers(history) == numbers(whole) and not changed(snapshot(planned), net)


def test_more_epochs_do_not_wake_a_run_that_ended_by_patience(tiny_net, tiny_domain, tmp_path):
    options = Settings(batch_size=30, base_lr=1e-30, patience=1)  # nothing moves: no second look is better
    for epochs in (5, 9):
        stage = Stage(("head",), epochs, 1e-30)
        history = fit(tiny_net(), tiny_domain, options, stage, checkpoint=tmp_path / "run.pt")
        assert len(history) == 2


def test_a_resumed_run_has_the_loss_scale_of_the_uninterrupted_one(
    tiny_net, tiny_domain, tmp_path, monkeypatch
):
    seen, update = [], Trainer.update

    def overflow_once(self):
        if not seen:
            self.trained[0].grad.fill_(float("inf"))
        seen.append(self.scaler.get_scale())
        update(self)

    monkeypatch.setattr(Trainer, "update", overflow_once)
    half = dataclasses.replace(OPTIONS, epochs=3, precision="float16")
    fit(tiny_net(), tiny_domain, half)
    whole = list(seen)
    assert whole[1] < whole[0], "halved after the overflow"
    seen.clear()
    with pytest.raises(KeyboardInterrupt):
        fit(tiny_net(), tiny_domain, half, checkpoint=tmp_path / "run.pt", on_epoch=interrupt_after(2))
    del seen[4:]  # the second epoch was not written down
    fit(tiny_net(), tiny_domain, half, checkpoint=tmp_path / "run.pt")
    assert seen == whole


def test_a_run_ended_on_request_stays_ended(tiny_net, tiny_domain, tmp_path):
    _, short = run(
        tiny_net, tiny_domain, checkpoint=tmp_path / "run.pt", on_epoch=lambda row: row["epoch"] == 2
    )
    _, again = run(tiny_net, tiny_domain, checkpoint=tmp_path / "run.pt")
    assert len(short) == 2 and again.equals(short)


@pytest.mark.parametrize(
    ("what", "named"),
    [
        ("settings", "settings"),
        ("plan", "plan"),
        ("fewer epochs", "epochs of the last stage"),
        ("pictures", "pictures"),
        ("training split", "pictures"),
        ("validation split", ""),
        ("rates", "rates"),
        ("backbone", "backbone"),
        ("pretrained", ""),
        ("dropout", ""),
    ],
)
def test_the_checkpoint_of_another_run_is_refused_and_left_alone(
    tiny_net, tiny_domain, tmp_path, what, named
):
    def go(net=None, domain=tiny_domain, settings=OPTIONS, epochs=2, optimizer=None, groups=("head",)):
        net = net or tiny_net()
        stages = [Stage(groups, epochs, settings.base_lr)]
        return fit(net, domain, settings, stages, optimizer=optimizer, checkpoint=file)

    file = tmp_path / "run.pt"
    go()
    kept, net = file.read_bytes(), tiny_net()
    other = {
        "settings": {"settings": dataclasses.replace(OPTIONS, seed=1)},
        "plan": {"groups": ("layer2", "head")},
        "fewer epochs": {"epochs": 1},
        "pictures": {"domain": dataclasses.replace(tiny_domain, images=tiny_domain.images ^ 1)},
        "training split": {"domain": dataclasses.replace(tiny_domain, train=tiny_domain.train[1:])},
        "validation split": {
            "domain": dataclasses.replace(tiny_domain, validation=tiny_domain.validation[1:])
        },
        "rates": {"optimizer": discriminative_lr_optimizer(net, 0.01, decay=2.0)},
        "backbone": {},
        "pretrained": {},
        "dropout": {},
    }[what]
    if what == "backbone":
        net.backbone = "another"
    if what == "pretrained":
        net = tiny_net(pretrained=True)
    if what == "dropout":
        net = tiny_net(dropout=0.5)
    before = snapshot(net)
    with pytest.raises(
        ValueError, match=f"belongs to a run with other .*{named}.*Delete .*run.pt to start anew"
    ):
        go(net, **other)
    assert file.read_bytes() == kept and not changed(before, net)


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "version", "no dict", "no identity"])
def test_damaged_and_foreign_files_are_refused_and_left_alone(tiny_net, tiny_domain, tmp_path, damage):
    file = tmp_path / "run.pt"
    run(tiny_net, tiny_domain, checkpoint=file)
    whole = file.read_bytes()
    if damage == "version":
        torch.save({**torch.load(file, weights_only=True), "format": 99}, file)
    elif damage == "no identity":
        torch.save({**torch.load(file, weights_only=True), "identity": None}, file)
    elif damage == "no dict":
        torch.save([1, 2], file)
    else:
        file.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"hello"}[damage])
    kept = file.read_bytes()
    expected = {
        "version": "another version",
        "no dict": "another version",
        "no identity": "a run with other settings",
    }.get(damage, "not a complete checkpoint")
    with pytest.raises(ValueError, match=f"{expected}.*Delete .* to start anew, or give another name"):
        run(tiny_net, tiny_domain, checkpoint=file)
    assert file.read_bytes() == kept


def test_settings_that_change_no_number_do_not_forbid_going_on(tiny_net, tiny_domain, tmp_path):
    run(tiny_net, tiny_domain, checkpoint=tmp_path / "run.pt")
    run(
        tiny_net,
        tiny_domain,
        dataclasses.replace(OPTIONS, cache_limit_gb=0.0),
        checkpoint=tmp_path / "run.pt",
        on_epoch=lambda row: pytest.fail("it was trained again"),
    )


def test_a_folder_is_not_to_be_deleted(tiny_net, tiny_domain, tmp_path):
    with pytest.raises(ValueError, match="is a folder: give the checkpoint the name of a file"):
        run(tiny_net, tiny_domain, checkpoint=tmp_path)


def test_no_file_means_a_new_run(tmp_path):
    assert load_checkpoint(tmp_path / "none.pt", {}, None) is None


def test_a_full_disk_leaves_the_older_checkpoint_whole(any_net, tiny_domain, tmp_path):
    file = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        run(any_net, tiny_domain, checkpoint=file, on_epoch=interrupt_after(2))
    kept, limits = file.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    # Files of this process may not grow beyond 10 kB for a moment: a write fails as it does on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match="Could not write .*run.pt.*Free some disk space"):
            run(any_net, tiny_domain, checkpoint=file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read_bytes() == kept
    assert os.listdir(tmp_path) == ["run.pt"] or set(os.listdir(tmp_path)) == {"run.pt", "data"}
    run(any_net, tiny_domain, checkpoint=file)


def test_an_error_while_saving_leaves_the_older_file(tiny_net, tiny_domain, tmp_path, monkeypatch):
    def full(content, path):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "run.pt").write_bytes(b"old")
    monkeypatch.setattr(torch, "save", full)
    net = tiny_net()
    with pytest.raises(OSError, match="No space left on device"):
        save_checkpoint(tmp_path / "run.pt", {}, Progress.start(net), Trainer(net, tiny_domain, OPTIONS))
    assert (tmp_path / "run.pt").read_bytes() == b"old" and os.listdir(tmp_path) == ["run.pt"]


def test_freezing_is_resumed(any_net, tiny_domain, tmp_path):
    """The network that goes on may have been left in any state of freezing."""
    file = tmp_path / "run.pt"
    _, whole = run(any_net, tiny_domain)
    with pytest.raises(KeyboardInterrupt):
        run(any_net, tiny_domain, checkpoint=file, on_epoch=interrupt_after(4))
    net = any_net(dropout=0.3)
    stages = partial_finetune(net, 3, how="progressively", epochs=4, base_lr=0.01)
    freeze_all_but(net, net.names)
    net.train()
    assert numbers(fit(net, tiny_domain, OPTIONS, stages, checkpoint=file)) == numbers(whole)
    assert net.trainable_names == stages[-1].groups
