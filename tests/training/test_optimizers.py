"""Nothing is forgotten by the optimizer, every group has its own rate, norms and biases do not decay."""

import math

import numpy
import pytest
import torch
from helpers import changed, pixels, snapshot
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from labutils import (
    LayerGroups,
    Settings,
    build_feature_extractor,
    discriminative_lr_optimizer,
    fit,
    freeze_all_but,
    group_rates,
    partial_finetune,
)
from labutils.training.optimizers import rate_table, trainable_parameters
from labutils.training.schedule import schedule_shape


def step(net, optimizer, domain) -> set[int]:
    """One step; returns which parameters the optimizer stepped, by identity."""
    before = {p: int(optimizer.state[p]["step"]) if p in optimizer.state else 0 for p in net.parameters()}
    net.train()
    loss = nn.functional.cross_entropy(net(net.normalise(pixels(domain))), domain.labels[:8])
    loss.backward()
    optimizer.step()
    return {
        id(p) for p, count in before.items() if p in optimizer.state and optimizer.state[p]["step"] > count
    }


def ids(parameters) -> set[int]:
    return {id(parameter) for parameter in parameters}


def test_trainable_parameters_are_the_stepped_ones_after_every_freeze_and_unfreeze(any_net, tiny_domain):
    net = any_net()
    optimizer = discriminative_lr_optimizer(net, 0.01)
    assert ids(p for group in optimizer.param_groups for p in group["params"]) == ids(net.parameters())
    names = net.names
    for trained in (("head",), names[-2:], names, names[1:2], ("stem", "head"), names[2:], names):
        freeze_all_but(net, trained)
        expected = ids(trainable_parameters(net))
        assert expected == ids(p for name in trained for p in getattr(net, name).parameters())
        assert step(net, optimizer, tiny_domain) == expected


def test_at_every_step_of_a_plan_the_trainable_parameters_are_the_ones_with_a_gradient(any_net, tiny_domain):
    net = any_net()
    optimizer = discriminative_lr_optimizer(net, 1e-3)
    groups = [id(group["params"]) for group in optimizer.param_groups]
    seen = []

    def look(optimizer, *_):
        with_gradient = ids(p for g in optimizer.param_groups for p in g["params"] if p.grad is not None)
        assert with_gradient == ids(trainable_parameters(net))
        seen.append(len(with_gradient))

    optimizer.register_step_pre_hook(look)
    stages = partial_finetune(net, 3, how="progressively", epochs=3)
    fit(net, tiny_domain, Settings(batch_size=10), stages, optimizer=optimizer)
    assert len(seen) == 9 and len(set(seen)) == 3, "three steps in each of three stages"
    assert groups == [id(group["params"]) for group in optimizer.param_groups], (
        "the optimizer was not rebuilt"
    )


def test_freezing_again_keeps_momentum_and_decay_from_moving_a_weight(any_net, tiny_domain):
    net = any_net()
    optimizer = discriminative_lr_optimizer(net, 0.1, weight_decay=0.5)
    freeze_all_but(net, net.names)
    step(net, optimizer, tiny_domain)  # momentum and gradients exist now
    freeze_all_but(net, ("head",))
    assert all(p.grad is None for p in net[:-1].parameters())
    before = snapshot(net[:-1])
    for _ in range(3):
        step(net, optimizer, tiny_domain)
    assert not changed(before, net[:-1])


def test_baseline_freezing_without_dropping_the_gradient_lets_weights_move(any_net, tiny_domain):
    net = any_net()
    optimizer = discriminative_lr_optimizer(net, 0.1, weight_decay=0.5)
    freeze_all_but(net, net.names)
    step(net, optimizer, tiny_domain)
    net[:-1].requires_grad_(False)
    before = snapshot(net[:-1])
    optimizer.step()
    assert changed(before, net[:-1])


def test_a_scheduler_goes_on_over_freezing_and_unfreezing(any_net, tiny_domain):
    net = any_net()
    optimizer = discriminative_lr_optimizer(net, 0.1, decay=2.0)
    start = [group["lr"] for group in optimizer.param_groups]
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    for count, trained in enumerate((("head",), net.names, ("head",), net.names[1:]), start=1):
        freeze_all_but(net, trained)
        assert step(net, optimizer, tiny_domain) == ids(trainable_parameters(net))
        scheduler.step()
        assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([lr * 0.5**count for lr in start])


@given(base=st.floats(1e-6, 1.0), decay=st.floats(1.0, 20.0), groups=st.integers(1, 12))
@settings(max_examples=50, deadline=None)
def test_rate_of_group_k_is_base_over_decay_to_the_power_of_its_distance_from_the_head(base, decay, groups):
    net = LayerGroups({**{f"layer{k}": nn.Linear(1, 1) for k in range(groups)}, "head": nn.Linear(1, 1)})
    rates = group_rates(net, base, decay)
    assert tuple(rates) == net.names
    for k, rate in enumerate(rates.values()):
        assert math.isclose(rate, base / decay ** (groups - k), rel_tol=1e-9)
    for group in discriminative_lr_optimizer(net, base, decay).param_groups:
        assert group["lr"] == rates[group["name"]]


def test_every_group_keeps_its_rate_in_every_step_of_a_plan(any_net, tiny_domain):
    net = any_net()
    rates = []
    optimizer = discriminative_lr_optimizer(net, 0.01, decay=3.0)
    optimizer.register_step_pre_hook(lambda o, *_: rates.append({g["name"]: g["lr"] for g in o.param_groups}))
    stages = partial_finetune(net, 3, how="linear probe first", epochs=2, base_lr=0.01)
    history = fit(net, tiny_domain, Settings(batch_size=10), stages, optimizer=optimizer)
    for at in rates:
        for k, name in enumerate(net.names):
            assert at[name] == pytest.approx(at["head"] / 3.0 ** (len(net) - 1 - k))
    # A cosine of three steps: up to the full rate at the first step, then down to three quarters, to a quarter.
    assert [at["head"] for at in rates] == pytest.approx([0.01, 0.01, 0.005, 0.001, 0.001, 0.0005])
    assert history["learning_rate"].tolist() == pytest.approx([0.005, 0.0005])


def test_explicit_rates(any_net):
    net = any_net()
    wanted = [1e-5 * 2**k for k in range(len(net))]
    for rates in (wanted, tuple(wanted)):
        optimizer = discriminative_lr_optimizer(net, rates)
        found = {group["name"]: group["lr"] for group in optimizer.param_groups}
        assert found == dict(zip(net.names, wanted, strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"base_lr": (1e-3, 1e-2)}, "2 rates for 4 groups: give one each for stem, layer1, layer2, head"),
        ({"base_lr": (1e-3, 0.0, 1e-3, 1e-3)}, "rate of layer1 is 0.0"),
        ({"base_lr": 0.0}, "use a number above 0"),
        ({"base_lr": -1.0}, "use a number above 0"),
        ({"base_lr": math.nan}, "use a number above 0"),
        ({"base_lr": math.inf}, "use a number above 0"),
        ({"base_lr": "1e-3"}, "base_lr='1e-3': use a number, or a list of one for each group"),
        ({"base_lr": None}, "base_lr=None"),
        ({"base_lr": numpy.ones(3)}, "3 rates for 4 groups"),
        ({"decay": "3"}, "decay='3' is out of range"),
        ({"decay": 0.3}, "decay=0.3 is out of range"),
        ({"decay": math.nan}, "decay=nan is out of range"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1 is out of range"),
        ({"weight_decay": 1.0}, "weight_decay=1.0 is out of range"),
    ],
    ids=str,
)
def test_rates_out_of_range_are_reported_with_the_remedy(tiny_net, arguments, message):
    with pytest.raises(ValueError, match=message):
        discriminative_lr_optimizer(tiny_net(), **arguments)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18", "convnext_tiny", "mobilenet_v3_small"])
def test_norms_and_biases_never_decay_and_all_else_does(name):
    net = build_feature_extractor(name, pretrained=False)
    optimizer = discriminative_lr_optimizer(net, 1e-3, weight_decay=0.1)
    exempt = {
        id(parameter)
        for module in net.modules()
        for path, parameter in module.named_parameters(recurse=False)
        if path == "bias" or isinstance(module, nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm)
    }
    assert len(exempt) > 10
    freeze_all_but(net, net.names)  # exempt also after unfreezing
    amount = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    for path, parameter in net.named_parameters():
        assert amount[id(parameter)] == (0.0 if id(parameter) in exempt else 0.1), path


def test_a_step_without_slope_shrinks_filters_and_leaves_norms_and_biases(any_net):
    net = any_net()
    freeze_all_but(net, net.names)
    optimizer = discriminative_lr_optimizer(net, 0.1, weight_decay=0.5)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = snapshot(net)
    optimizer.step()
    filters = {path for path, parameter in net.named_parameters() if parameter.ndim > 1}
    assert changed(before, net) == filters


def test_rate_table(tiny_net):
    rows = rate_table(discriminative_lr_optimizer(tiny_net(), 0.27, weight_decay=0.1))
    assert [row["group"] for row in rows] == [
        "stem",
        "stem",
        "layer1",
        "layer1",
        "layer2",
        "layer2",
        "head",
        "head",
    ]
    assert rows[0]["learning rate"] == pytest.approx(0.01) and rows[-1]["learning rate"] == 0.27
    assert [row["weight decay"] for row in rows] == [0.1, 0.0] * 4
    assert [row["trained"] for row in rows] == [0] * 6 + [1, 1] and rows[1]["tensors"] == 2


@given(steps=st.integers(1, 300))
def test_the_cosine_stays_between_nothing_and_the_full_rate(steps):
    shape = [schedule_shape("cosine", i, steps) for i in range(steps)]
    assert all(0 < value <= 1 for value in shape) and max(shape) == 1
    top = shape.index(1.0)
    assert shape[: top + 1] == sorted(shape[: top + 1]) and shape[top:] == sorted(shape[top:], reverse=True)
    assert {schedule_shape("constant", i, steps) for i in range(steps)} == {1.0}


def test_norms_of_maps_do_not_decay_either():
    net = LayerGroups({"stem": nn.LayerNorm([3, 8, 8]), "head": nn.Linear(3, 2)})
    decays = {
        group["name"]: group["weight_decay"]
        for group in discriminative_lr_optimizer(net, weight_decay=0.1).param_groups
    }
    assert decays["stem"] == 0.0
