"""How far each group moved, relative to its size, and how many of its weights changed at all."""

import pytest
import torch
from helpers import snapshot

from labutils.analysis.weight_movement import movement, share_changed


def test_nothing_moved(tiny_net):
    net = tiny_net()
    before = snapshot(net)
    assert movement(before, net) == dict.fromkeys(net.names, 0.0)
    assert share_changed(before, net) == dict.fromkeys(net.names, 0.0)


def test_distance_is_relative_to_the_whole_group(tiny_net):
    net = tiny_net()
    before = snapshot(net)
    with torch.no_grad():
        for parameter in net.layer1.parameters():
            parameter.mul_(0.75)
        net.head[-1].weight.add_(0.1)
    moved = movement(before, net)
    assert moved["stem"] == moved["layer2"] == 0
    assert moved["layer1"] == pytest.approx(0.25)
    size = sum(float(before[f"head.linear.{name}"].square().sum()) for name in ("weight", "bias")) ** 0.5
    assert moved["head"] == pytest.approx(0.1 * net.head[-1].weight.numel() ** 0.5 / size)


def test_buffers_do_not_count(tiny_net):
    net = tiny_net()
    before = snapshot(net)
    for name, buffer in net.named_buffers():
        if name.endswith("running_mean"):
            buffer.add_(1.0)
    assert set(movement(before, net).values()) == {0.0} == set(share_changed(before, net).values())


def test_share_counts_single_weights(tiny_net):
    net = tiny_net()
    before = snapshot(net)
    with torch.no_grad():
        net.head[-1].weight[0] += 1.0
    head = net.head[-1]
    expected = head.in_features / (head.weight.numel() + head.bias.numel())
    assert share_changed(before, net) == {"stem": 0, "layer1": 0, "layer2": 0, "head": expected}


def test_a_step_below_the_resolution_of_float32_changes_nothing(tiny_net):
    net = tiny_net()
    before = snapshot(net)
    with torch.no_grad():
        for _ in range(100):
            net.head[-1].weight.mul_(1 + 1e-9)
    assert share_changed(before, net)["head"] == 0


def test_another_network_is_refused(tiny_net):
    with pytest.raises(KeyError):
        movement({"conv1.weight": torch.zeros(1)}, tiny_net())
