"""What is trainable is what is trained, weight by weight, and the optimizer has to hold all of it."""

import random

import pytest
import torch
from helpers import changed, numbers, snapshot
from torch import nn

from labutils import (
    LayerGroups,
    Settings,
    Stage,
    add_adapters,
    build_feature_extractor,
    discriminative_lr_optimizer,
    fit,
    freeze_all_but,
    lr_finder,
    partial_finetune,
)
from labutils.training.optimizers import head_place
from labutils.training.trainer import Trainer

QUICK = Settings(epochs=2, batch_size=10, base_lr=0.01, lr_decay=1.0, keep_best=False)


def by_hand(net, keep) -> None:
    """Only the weights whose name and number satisfy ``keep`` ask for a gradient."""
    for number, (name, parameter) in enumerate(net.named_parameters()):
        parameter.requires_grad_(bool(keep(name, number)))


CHOICES = {
    "norms": lambda net: partial_finetune(net, 3, weights="norms"),
    "biases": lambda net: partial_finetune(net, 3, weights="biases"),
    "one weight": lambda net: by_hand(net, lambda name, number: number == 3),
    "every third": lambda net: by_hand(net, lambda name, number: number % 3 == 0),
    "no bias of the head": lambda net: by_hand(net, lambda name, number: name == "head.linear.weight"),
    "not the head": lambda net: by_hand(net, lambda name, number: not name.startswith("head")),
    "at random": lambda net: by_hand(
        net, lambda name, number: random.random() < 0.5 or name.startswith("head")
    ),
    "all": lambda net: by_hand(net, lambda name, number: True),
}


def asking(net) -> set[str]:
    return {name for name, parameter in net.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("choice", CHOICES)
def test_without_a_plan_exactly_the_weights_that_ask_for_a_gradient_move(any_net, tiny_domain, choice):
    net = any_net()
    CHOICES[choice](net)
    wanted, before = asking(net), snapshot(net)
    fit(net, tiny_domain, QUICK)
    parameters = {name for name, _ in net.named_parameters()}
    assert changed(before, net) & parameters == wanted == asking(net)
    before = snapshot(net)
    with pytest.raises(KeyboardInterrupt):
        fit(net, tiny_domain, QUICK, on_epoch=interrupt)
    assert changed(before, net) & parameters == wanted == asking(net), "after an interruption, too"


def interrupt(row):
    raise KeyboardInterrupt


@pytest.mark.parametrize("choice", CHOICES)
def test_the_range_test_steps_the_same_weights(tiny_net, tiny_domain, choice, monkeypatch):
    stepped, update = [], Trainer.update

    def spy(self):
        stepped.append(
            {name for name, parameter in self.model.named_parameters() if parameter.grad is not None}
        )
        update(self)

    monkeypatch.setattr(Trainer, "update", spy)
    net = tiny_net()
    CHOICES[choice](net)
    wanted = asking(net)
    lr_finder(net, tiny_domain, QUICK, steps=10)
    assert stepped and all(names == wanted for names in stepped) and asking(net) == wanted


def test_the_range_test_of_norms_is_not_that_of_all(any_net, tiny_domain):
    curves = []
    for choice in ("norms", "all"):
        net = any_net()
        CHOICES[choice](net)
        curves.append(lr_finder(net, tiny_domain, QUICK, steps=20).curve["loss"])
    assert not curves[0].equals(curves[1])


def test_adapters_alone_are_trained_without_a_plan(tiny_net, tiny_domain):
    net = tiny_net()
    add_adapters(net)
    partial_finetune(net, 4, weights="adapters")
    wanted, before = asking(net), snapshot(net)
    assert any("lora_A" in name for name in wanted)
    fit(net, tiny_domain, QUICK)
    parameters = {name for name, _ in net.named_parameters()}
    assert changed(before, net) & parameters == wanted == asking(net)


def test_a_resumed_run_without_a_plan_needs_the_same_weights(tiny_net, tiny_domain, tmp_path):
    def go(choice):
        net = tiny_net()
        CHOICES[choice](net)
        return net, fit(net, tiny_domain, QUICK, checkpoint=tmp_path / "run.pt")

    net, whole = go("norms")
    again, history = go("norms")
    assert history.equals(whole) and asking(again) == asking(net)
    with pytest.raises(ValueError, match="belongs to a run with other plan"):
        go("biases")


def test_a_stage_may_name_its_weights(any_net, tiny_domain):
    net = any_net()
    first = next(name for name, _ in net.layer1.named_parameters())
    names = (f"layer1.{first}", "head.linear.bias")
    before = snapshot(net)
    fit(net, tiny_domain, QUICK, Stage(("layer1", "head"), 1, 0.01, names))
    parameters = {name for name, _ in net.named_parameters()}
    assert changed(before, net) & parameters == set(names)
    with pytest.raises(ValueError, match="No weights called head.linear.bias in layer1"):
        fit(net, tiny_domain, QUICK, Stage(("layer1",), 1, 0.01, names))
    with pytest.raises(ValueError, match="or a tuple of names of weights"):
        Stage(("head",), 1, 0.01, "bias")


def test_a_plan_says_what_it_changes(tiny_net, tiny_domain, printed):
    net = tiny_net()
    plan = partial_finetune(net, 2)
    fit(net, tiny_domain, QUICK, Stage(plan[0].groups, 1, 0.01))
    assert printed() == "", "what the plan begins with was so already"
    by_hand(net, lambda name, number: name in ("stem.0.weight", "head.linear.bias"))
    fit(net, tiny_domain, QUICK, Stage(plan[0].groups, 1, 0.01))
    assert printed() == "The plan thaws layer2, 1 weights of head and freezes 1 weights of stem"
    fit(net, tiny_domain, QUICK)
    assert printed() == ""


def test_the_range_test_of_a_plan_is_that_of_its_first_stage_or_of_the_one_asked_for(any_net, tiny_domain):
    net = any_net()
    plan = partial_finetune(net, 3, how="linear probe first")
    freeze_all_but(net, ())
    curves = []
    for stages in (plan, plan[0], plan[1]):
        curves.append(lr_finder(net, tiny_domain, QUICK, stages, steps=10).curve["loss"].tolist())
        assert not asking(net), "the model itself stays as it was"
    expected = []
    for groups in (("head",), plan[1].groups):
        freeze_all_but(net, groups)
        expected.append(lr_finder(net, tiny_domain, QUICK, steps=10).curve["loss"].tolist())
    assert curves == [expected[0], expected[0], expected[1]]


def in_parts(net, order=lambda groups: groups, rate=0.01, decay=3.0, kind=torch.optim.SGD):
    """An optimizer with a group of parameters for each layer group, in another order."""
    names = list(net.names)
    return kind(
        [
            {
                "params": list(getattr(net, name).parameters()),
                "lr": rate / decay ** (len(names) - 1 - names.index(name)),
            }
            for name in order(names)
        ]
    )


ORDERS = {
    "head first": lambda names: names[::-1],
    "head in the middle": lambda names: [names[0], names[-1], *names[1:-1]],
    "head last": lambda names: names,
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW], ids=["SGD", "AdamW"])
def test_the_order_of_an_optimizers_groups_does_not_matter(tiny_net, tiny_domain, order, kind):
    def go(order):
        net = tiny_net(pretrained=True)
        freeze_all_but(net, net.names)
        return numbers(fit(net, tiny_domain, QUICK, optimizer=in_parts(net, order, kind=kind))), lr_finder(
            net, tiny_domain, QUICK, optimizer=in_parts(net, order, kind=kind), steps=10
        )

    (one, first), (other, second) = go(ORDERS[order]), go(ORDERS["head last"])
    for row, twin in zip(one, other, strict=True):
        assert row["learning_rate"] == twin["learning_rate"]
        assert row["train_loss"] == pytest.approx(twin["train_loss"], rel=1e-4)
    assert first.curve["loss"].to_numpy() == pytest.approx(second.curve["loss"].to_numpy(), rel=1e-3)


def test_an_optimizer_may_hold_more_than_the_network(tiny_net, tiny_domain):
    net, beside = tiny_net(), nn.Linear(2, 2)
    optimizer = torch.optim.SGD(
        [{"params": net.head.parameters(), "lr": 0.01}, {"params": beside.parameters(), "lr": 5.0}], lr=0.01
    )
    options = Settings(epochs=1, batch_size=10, base_lr=0.01, schedule="constant")
    assert fit(net, tiny_domain, options, optimizer=optimizer)["learning_rate"].tolist() == [0.01]


def test_the_optimizer_of_another_network_is_refused(any_net, tiny_domain):
    net, other = any_net(), any_net()
    before = snapshot(net)
    for optimizer in (
        discriminative_lr_optimizer(other, 0.01),
        torch.optim.SGD(nn.Linear(1, 1).parameters(), 0.1),
    ):
        for run in (fit, lr_finder):
            with pytest.raises(
                ValueError, match="belongs to another network .* create a new one with discriminative_lr"
            ):
                run(net, tiny_domain, QUICK, optimizer=optimizer)
    assert not changed(before, net)


def test_an_optimizer_that_lacks_what_a_stage_trains_is_refused(any_net, tiny_domain):
    net = any_net()
    plan = partial_finetune(net, 3, how="linear probe first", epochs=4)
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=0.01)
    before = snapshot(net)
    lacking = [
        f"{len(list(getattr(net, name).parameters()))} weights of {name}" for name in plan[1].groups[:-1]
    ]
    with pytest.raises(
        ValueError, match=f"does not hold {', '.join(lacking)}, which this run is to train: create a new one"
    ):
        fit(net, tiny_domain, QUICK, plan, optimizer=optimizer)
    assert not changed(before, net)
    assert len(lr_finder(net, tiny_domain, QUICK, plan, optimizer=optimizer, steps=10).curve), (
        "it holds the head"
    )
    add_adapters(net)  # after the optimizer was made, with new weights
    partial_finetune(net, 3, weights="adapters")
    with pytest.raises(ValueError, match="does not hold .* weights of layer"):
        fit(net, tiny_domain, QUICK, optimizer=optimizer)


def test_one_weight_that_is_lacking_is_reported(tiny_net, tiny_domain):
    net = tiny_net()
    with pytest.raises(ValueError, match="does not hold 1 weights of head"):
        fit(net, tiny_domain, QUICK, optimizer=torch.optim.SGD([net.head.linear.weight], lr=0.1))


def test_a_replaced_head_is_not_in_an_optimizer_made_before(tiny_net, tiny_domain):
    net = tiny_net()
    optimizer = discriminative_lr_optimizer(net, 0.01)
    net.head = nn.Linear(16, 3)
    with pytest.raises(ValueError, match="does not hold 2 weights of head"):
        fit(net, tiny_domain, QUICK, optimizer=optimizer)


def shared() -> LayerGroups:
    """A network in which one layer stands in two groups, in the middle and as the head."""
    twice = nn.Linear(3, 3)
    stem = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    between = nn.Sequential(nn.Linear(3, 3), nn.Tanh())  # a ReLU may be dead for all pictures
    return LayerGroups({"stem": stem, "layer1": twice, "layer2": between, "head": twice})


@pytest.mark.parametrize(
    "trained", [("layer1",), ("head",), ("layer2", "head"), ("layer1", "layer2", "head")]
)
def test_a_layer_that_stands_in_two_groups_is_trained_with_either(tiny_domain, trained):
    net = shared()
    assert net[1:].names == net.names[1:] and len(net[:-1]) == 3
    optimizer = discriminative_lr_optimizer(net, 0.01, decay=3.0)
    assert optimizer.param_groups[head_place(optimizer, net)]["lr"] == 0.01, "the rate of the head"
    freeze_all_but(net, trained)
    wanted = asking(net)
    assert {name.partition(".")[0] for name in net.trainable_names} == {*trained, "layer1", "head"}
    before = snapshot(net)
    history = fit(net, tiny_domain, QUICK, optimizer=optimizer)
    parameters = {name for name, _ in net.named_parameters()}
    assert changed(before, net) & parameters == wanted == asking(net)
    assert history["validation_loss"].notna().all() and net.layer1 is net.head


def test_a_network_of_the_registry_trains_its_norms_alone(tiny_domain):
    """The case as it was found: norms were chosen, and all weights of their groups were trained."""
    net = build_feature_extractor("mobilenet_v3_small", 3, pretrained=False)
    partial_finetune(net, 3, weights="norms")
    count = sum(p.numel() for p in net.parameters() if p.requires_grad)
    fit(net, tiny_domain, Settings(epochs=1, batch_size=15))
    assert sum(p.numel() for p in net.parameters() if p.requires_grad) == count
