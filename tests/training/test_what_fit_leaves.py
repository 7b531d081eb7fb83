"""What a run starts from and leaves: no gradient from before, statistics as they ended, an optimizer as it was lent."""

import dataclasses

import pytest
import torch
from helpers import CLASSES
from torch import nn
from torch.nn import functional as F

from labutils import LayerGroups, Settings, discriminative_lr_optimizer, evaluate, fit, freeze_all_but

SETTINGS = Settings(epochs=3, batch_size=10, base_lr=1e-2, keep_best=False, device="cpu")


def interrupt(row):
    if row["epoch"] == 2:  # the checkpoint of the first is written
        raise KeyboardInterrupt


def test_statistics_of_a_norm_without_weights_are_those_of_the_end(tiny_domain):
    torch.manual_seed(0)
    body = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    groups = {"stem": nn.Conv2d(3, 8, 3, 2), "layer1": nn.BatchNorm2d(8, affine=False), "layer2": body}
    model = LayerGroups({**groups, "head": nn.Linear(8, CLASSES)})
    history = fit(model, tiny_domain, SETTINGS)
    seen = evaluate(model, tiny_domain, "validation", SETTINGS)
    assert seen.loss == pytest.approx(history["validation_loss"].iloc[-1], rel=1e-4)
    assert not torch.equal(model.layer1.running_var, torch.ones(8))


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_a_gradient_from_before_is_not_part_of_the_first_step(any_net, tiny_domain, kind):
    losses = []
    for looked in (False, True):
        net = any_net()
        freeze_all_but(net, ("head",))
        if looked:
            images = net.normalise(tiny_domain.images[:8] / 255)
            (50 * F.cross_entropy(net.eval()(images), torch.zeros(8).long())).backward()
        history = fit(net, tiny_domain, SETTINGS, optimizer=kind(net.parameters(), lr=1e-2))
        losses.append(history["train_loss"].tolist())
    assert losses[0] == losses[1]


def test_a_given_optimizer_comes_back_as_it_was(any_net, tiny_domain, tmp_path):
    net = any_net()
    optimizer = discriminative_lr_optimizer(net, 1e-2, weight_decay=0.1)
    before = [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups]
    with pytest.raises(KeyboardInterrupt):
        fit(net, tiny_domain, SETTINGS, optimizer=optimizer, checkpoint=tmp_path / "a.pt", on_epoch=interrupt)
    assert [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups] == before
    history = fit(net, tiny_domain, SETTINGS, optimizer=optimizer, checkpoint=tmp_path / "a.pt")
    assert len(history) == 3, "the same cell again goes on"


@pytest.mark.parametrize(
    "other",
    [
        lambda weights: torch.optim.SGD(weights, 1e-2),
        lambda weights: torch.optim.AdamW(weights, 1e-2, weight_decay=0.3),
    ],
)
def test_a_run_with_another_optimizer_is_another_run(any_net, tiny_domain, tmp_path, other):
    net = any_net()
    first = torch.optim.AdamW(net.parameters(), 1e-2)
    with pytest.raises(KeyboardInterrupt):
        fit(net, tiny_domain, SETTINGS, optimizer=first, checkpoint=tmp_path / "a.pt", on_epoch=interrupt)
    with pytest.raises(ValueError, match="a run with other optimizer"):
        fit(net, tiny_domain, SETTINGS, optimizer=other(net.parameters()), checkpoint=tmp_path / "a.pt")


def test_rows_from_the_cache_lie_as_the_settings_say(any_net, tiny_domain):
    """A group that takes its maps apart by view would fail with channels last."""
    net = any_net()
    freeze_all_but(net, net.names[-2:])
    settings = dataclasses.replace(SETTINGS, channels_last=False)
    seen = []
    hook = getattr(net, net.names[-2]).register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    fit(net, tiny_domain, settings)
    hook.remove()
    assert seen and all(x.is_contiguous() for x in seen)


def test_a_lazy_head_is_drawn_by_the_seed_and_moves_no_generator(any_net, tiny_domain):
    losses = []
    for number in range(2):
        net = any_net()
        net.head = nn.LazyLinear(CLASSES)
        torch.manual_seed(number)
        before = torch.get_rng_state()
        losses.append(fit(net, tiny_domain, SETTINGS)["train_loss"].tolist())
        assert torch.equal(before, torch.get_rng_state())
    assert losses[0] == losses[1]
