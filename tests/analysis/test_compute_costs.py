"""Costs of groups: what autograd really keeps, and sums that can be checked against direct measurement."""

import copy

import pytest
import torch
from helpers import snapshot
from torch import nn

from labutils import build_feature_extractor
from labutils.analysis.compute_costs import depth_costs, group_costs
from labutils.networks.groups import LayerGroups

COLUMNS = ["group", "parameters", "kept_mb", "forward_ms", "backward_ms"]
SIDE, BATCH = 32, 4


def really_kept(model: LayerGroups, first: int) -> float:
    """Megabytes that autograd keeps for training ``model[first:]`` in one graph, on activations from before it."""
    model = copy.deepcopy(model).eval().requires_grad_(True)
    weights = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    with torch.no_grad():
        x = model[:first](torch.rand(BATCH, 3, SIDE, SIDE))
    kept = {}

    def keep(tensor):
        place = tensor.untyped_storage()
        if place.data_ptr() not in weights:
            kept[place.data_ptr()] = place.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = model[first:](x.requires_grad_(True))
    assert output.grad_fn is not None
    return sum(kept.values()) / 1e6


def test_a_row_for_each_group_shallow_to_deep(tiny_net):
    net = tiny_net()
    costs = group_costs(net, SIDE, BATCH)
    assert costs.columns.tolist() == COLUMNS
    assert costs["group"].tolist() == list(net.names)
    assert costs["parameters"].tolist() == [sum(p.numel() for p in group.parameters()) for group in net]
    assert (costs[["kept_mb", "forward_ms", "backward_ms"]] > 0).all(axis=None)


@pytest.mark.parametrize("backbone", ["tiny", "mobilenet_v3_small", "resnet18"])
def test_the_last_n_groups_keep_what_autograd_keeps_for_them(tiny_backbone, backbone):
    net = build_feature_extractor(backbone, 3, pretrained=False)
    table = depth_costs(group_costs(net, SIDE, BATCH))
    for n, kept in zip(table["trained_groups"], table["kept_mb"], strict=True):
        assert kept == pytest.approx(really_kept(net, len(net) - n), rel=1e-6), n


def test_kept_by_hand():
    """A convolution keeps its input, ReLU in place what it gives, a linear layer its input."""
    net = LayerGroups(
        {
            "stem": nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True)),
            "layer1": nn.Sequential(nn.Conv2d(8, 5, 3, padding=1), nn.Flatten(1)),
            "head": nn.Linear(5 * 16 * 16, 2),
        }
    )
    kept = group_costs(net, 16, 2).set_index("group")["kept_mb"] * 1e6 / (2 * 16 * 16 * 4)
    # In units of one channel. What stem gives is kept once, and counted where it is the input.
    assert kept.round(6).to_dict() == {"stem": 3, "layer1": 8, "head": 5}


def test_kept_grows_in_proportion_to_the_batch_and_parameters_do_not(tiny_net):
    one, four = (group_costs(tiny_net(), SIDE, size) for size in (2, 8))
    assert (four["kept_mb"] / one["kept_mb"]).tolist() == pytest.approx([4.0] * len(one), rel=0.02)
    assert four["parameters"].tolist() == one["parameters"].tolist()


def test_nothing_of_the_model_or_the_generators_is_changed(tiny_net):
    net = tiny_net().train()
    before, state = snapshot(net), torch.get_rng_state()
    modes = [module.training for module in net.modules()]
    flags = [parameter.requires_grad for parameter in net.parameters()]
    group_costs(net, SIDE, BATCH)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert [module.training for module in net.modules()] == modes
    assert [parameter.requires_grad for parameter in net.parameters()] == flags
    assert all(parameter.grad is None for parameter in net.parameters())
    assert torch.equal(state, torch.get_rng_state())


def test_depths_are_counted_from_the_head_and_add_up(tiny_net):
    net = tiny_net()
    costs = group_costs(net, SIDE, BATCH)
    table = depth_costs(costs)
    assert table.columns.tolist() == ["trained_groups", "first_trained", "parameters", "kept_mb", "step_ms"]
    assert table["trained_groups"].tolist() == [1, 2, 3, 4]
    assert table["first_trained"].tolist() == ["head", "layer2", "layer1", "stem"]
    head = costs.iloc[-1]
    assert table.iloc[0]["step_ms"] == pytest.approx(head["forward_ms"] + head["backward_ms"])
    assert table.iloc[-1]["parameters"] == costs["parameters"].sum()
    assert table.iloc[-1]["kept_mb"] == pytest.approx(costs["kept_mb"].sum())
    assert (table[["parameters", "kept_mb", "step_ms"]].diff().iloc[1:] > 0).all(axis=None)
