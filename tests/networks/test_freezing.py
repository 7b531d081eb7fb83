"""Frozen means frozen: no parameter and no buffer moves. And which groups a plan trains."""

import pytest
import torch
from helpers import changed, group_of, norms, pixels, snapshot
from torch import nn

from labutils import LayerGroups, Settings, Stage, fit, freeze_all_but, partial_finetune
from labutils.networks.freezing import block, chosen_parameters

QUICK = Settings(epochs=2, batch_size=10, base_lr=0.01, lr_decay=1.0, weight_decay=0.1)


@pytest.mark.parametrize("trained", [1, 2, "layer1", ("stem", "layer1")], ids=str)
def test_no_frozen_parameter_or_buffer_moves_while_training(any_net, tiny_domain, trained):
    net = any_net()
    partial_finetune(net, trained)
    frozen = set(net.names) - set(net.trainable_names)
    before, in_between = snapshot(net), set()

    def somebody_calls_train(row):
        net.train()
        net(net.normalise(pixels(tiny_domain)))
        # Looked at here too, for `fit` puts stored weights back at its end, which would hide a move.
        in_between.update(changed(before, net))

    fit(net, tiny_domain, QUICK, on_epoch=somebody_calls_train)
    moved = {group_of(name) for name in in_between | changed(before, net)}
    assert moved.isdisjoint(frozen)
    assert moved == set(block(net, trained)), "training that moves nothing would prove nothing"


def test_no_frozen_buffer_moves_when_anybody_calls_train(any_net, tiny_domain):
    net = any_net()
    freeze_all_but(net, net.names[2:])
    before = snapshot(net)
    net.eval().train()
    net(net.normalise(pixels(tiny_domain)))
    net[:2].train()(net.normalise(pixels(tiny_domain)))
    net.apply(lambda module: module.train())
    net(net.normalise(pixels(tiny_domain)))
    assert {group_of(name) for name in changed(before, net)} == set(net.names[2:-1])


def test_baseline_in_a_plain_sequential_the_frozen_buffers_do_move(any_net, tiny_domain):
    net = any_net()
    plain = nn.Sequential(*net).requires_grad_(False).train()
    before = snapshot(net.stem)
    plain(net.normalise(pixels(tiny_domain)))
    assert any("running_mean" in name for name in changed(before, net.stem))


def test_frozen_norms_use_their_stored_statistics_whatever_the_batch(any_net, tiny_domain):
    net = any_net()
    freeze_all_but(net, ("head",))
    net.train()
    x = net.normalise(pixels(tiny_domain))
    prefix = net[:-1]
    with torch.no_grad():
        alone, together = prefix(x[:1]), prefix(x)[:1]
    # Batch statistics would make the first picture depend on its neighbours.
    assert torch.allclose(alone, together, atol=1e-5)


def test_unfreezing_brings_train_mode_back_and_freezing_takes_it(any_net):
    net = any_net()
    freeze_all_but(net, ("head",))
    net.train()
    assert not any(norm.training for norm in norms(net))
    freeze_all_but(net, net.names)
    assert all(norm.training for norm in norms(net)) and net.stem.training
    freeze_all_but(net, net.names[1:])
    assert not any(norm.training for norm in norms(net.stem))
    assert all(norm.training for norm in norms(net[1:]))
    net.eval()
    freeze_all_but(net, net.names)
    assert not any(norm.training for norm in norms(net)), "evaluation mode stays evaluation mode"


def test_a_norm_frozen_by_hand_inside_a_trainable_group_keeps_its_statistics(any_net, tiny_domain):
    net = any_net()
    freeze_all_but(net, net.names)
    for norm in norms(net.layer1):
        norm.requires_grad_(False)
    before = snapshot(net.layer1)
    net.train()(net.normalise(pixels(tiny_domain)))
    assert not changed(before, net.layer1)


def test_pretrained_norms_keep_their_statistics_in_trainable_groups_too(tiny_net, tiny_domain):
    net = tiny_net(pretrained=True)
    freeze_all_but(net, net.names)
    before = snapshot(net)
    fit(net, tiny_domain, QUICK)
    moved = changed(before, net)
    assert not [name for name in moved if "running" in name or "batches" in name]
    assert "stem.0.weight" in moved and "stem.1.weight" in moved


def test_freezing_again_drops_the_gradient(any_net, tiny_domain):
    net = any_net()
    freeze_all_but(net, net.names)
    net(net.normalise(pixels(tiny_domain))).sum().backward()
    freeze_all_but(net, ("layer1", "head"))
    for name, group in net.named_children():
        there = [parameter.grad is not None for parameter in group.parameters()]
        assert all(there) if name in ("layer1", "head") else not any(there)


def test_blocks(any_net):
    net = any_net()
    assert block(net, 2) == net.names[-2:]
    assert block(net, len(net)) == net.names
    assert block(net, "layer1") == ("layer1", "head")
    assert block(net, "layer1", head=False) == ("layer1",)
    assert block(net, ("stem", "layer2")) == ("stem", "layer1", "layer2", "head")
    assert block(net, ("layer1", "head")) == net.names[1:]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (0, "n=0 is out of range: tiny has 4 groups, so use 1 to 4"),
        (5, "n=5 is out of range"),
        (2.5, "n=2.5: use a whole number, one name, or the first and last name"),
        (None, "n=None: use a whole number"),
        (("layer1",), "the first and last name of a block"),
        ("layer9", "No group called 'layer9'; this network has stem, layer1, layer2, head"),
        (("layer2", "stem"), "ends before it begins: layer2 comes after stem"),
    ],
    ids=str,
)
def test_blocks_out_of_range_are_reported_with_the_remedy(tiny_net, choice, message):
    with pytest.raises(ValueError, match=message):
        partial_finetune(tiny_net(), choice)


def test_plans(tiny_net):
    net = tiny_net()
    assert partial_finetune(net, 2, epochs=3) == (Stage(("layer2", "head"), 3, 1e-3),)
    assert net.trainable_names == ("layer2", "head")
    probe, rest = partial_finetune(net, 3, how="linear probe first", epochs=5, base_lr=0.01)
    assert (probe.groups, probe.epochs, probe.base_lr) == (("head",), 3, 0.01)
    assert (rest.groups, rest.epochs) == (("layer1", "layer2", "head"), 2)
    assert rest.base_lr == pytest.approx(0.001)
    assert net.trainable_names == ("head",), "left as the first stage wants it"
    stages = partial_finetune(net, 4, how="progressively", epochs=9, base_lr=0.09)
    assert [len(stage.groups) for stage in stages] == [1, 2, 3, 4]
    assert [stage.epochs for stage in stages] == [3, 2, 2, 2]
    assert [stage.base_lr for stage in stages] == pytest.approx([0.09, 0.03, 0.01, 0.01 / 3])


def test_a_plan_for_nine_groups_has_at_most_four_stages():
    net = LayerGroups({f"layer{k}": nn.Linear(1, 1) for k in range(8)} | {"head": nn.Linear(1, 1)})
    stages = partial_finetune(net, 9, how="progressively", epochs=10)
    assert [len(stage.groups) for stage in stages] == [1, 2, 5, 9]
    assert all(stage.groups == net.names[-len(stage.groups) :] for stage in stages)


def test_wrong_plans_are_refused(tiny_net):
    net = tiny_net()
    with pytest.raises(ValueError, match="at once"):
        partial_finetune(net, 2, how="quickly")
    with pytest.raises(ValueError, match="use at least 4"):
        partial_finetune(net, 4, how="progressively", epochs=3)
    with pytest.raises(ValueError, match="at least 1 epoch"):
        Stage(("head",), 0, 0.1)
    with pytest.raises(ValueError, match="rate above 0"):
        Stage(("head",), 1, 0.0)
    for rate in (float("nan"), float("inf"), "0.1"):
        with pytest.raises(ValueError, match="rate above 0"):
            Stage(("head",), 1, rate)
    with pytest.raises(ValueError, match="a tuple of names, such as .'head',"):
        Stage("head", 1, 0.1)
    for wrong in ({"epochs": 2.5}, {"epochs": "3"}, {"base_lr": "0.1"}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}=.* must be a "):
            partial_finetune(net, 2, **wrong)
    with pytest.raises(ValueError, match="No group called layer7; this network has stem"):
        freeze_all_but(net, ("layer7",))


def test_biases_and_norms_by_whatever_name():
    attention = nn.MultiheadAttention(8, 2)
    groups = {
        "stem": nn.InstanceNorm2d(3, affine=True),
        "layer1": attention,
        "layer2": nn.RMSNorm(8),
        "head": nn.Linear(8, 2),
    }
    model = LayerGroups(groups)
    assert set(chosen_parameters(model, ["layer1"], "biases")) == {
        "layer1.in_proj_bias",
        "layer1.out_proj.bias",
    }
    assert set(chosen_parameters(model, ["stem", "layer2"], "norms")) == {
        "stem.weight",
        "stem.bias",
        "layer2.weight",
    }


def test_what_there_is_not_is_not_trained_in_silence():
    model = LayerGroups({"stem": nn.Conv2d(3, 4, 3), "layer1": nn.ReLU(), "head": nn.Linear(4, 2)})
    with pytest.raises(ValueError, match="There are no norms in stem, layer1"):
        freeze_all_but(model, model.names, "norms")
    with pytest.raises(ValueError, match="use one of"):
        freeze_all_but(model, model.names, "norm")
    with pytest.raises(ValueError, match="in a tuple"):
        freeze_all_but(model, "head")
