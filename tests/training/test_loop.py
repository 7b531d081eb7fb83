"""The training loop: batches weighed right, runs repeatable, trouble reported, nothing touched that need not be."""

import dataclasses
import itertools
import math
import random
import warnings

import numpy as np
import pytest
import torch
from helpers import changed, norms, numbers, pixels, snapshot
from torch import nn

from labutils import Settings, Stage, evaluate, fit, freeze_all_but, lr_finder, partial_finetune


def sgd(net, rate: float = 1e-3) -> torch.optim.SGD:
    """Adam divides by the size of the gradient, which blows rounding up; plain descent does not."""
    return torch.optim.SGD([{"params": list(net.parameters()), "name": "all"}], lr=rate)


def all_trainable(net):
    """Everything is trained, BatchNorm by its stored statistics: else parts of a batch are not like the whole."""
    net.stored_statistics = True
    freeze_all_but(net, net.names)
    return net


def assert_moved_alike(start: dict, one: dict, other: dict) -> None:
    """Two trainings moved the weights the same way, up to a hundredth of how far they moved."""
    moved = 0
    for name, tensor in start.items():
        first, second = one[name].float() - tensor, other[name].float() - tensor
        moved += int(first.abs().max() > 0)
        # The weights are stored with 7 digits: a tiny move of a large weight cannot be seen more precisely.
        rounding = 1e-6 * float(tensor.abs().max())
        assert (first - second).abs().max() <= 0.01 * first.abs().max() + rounding, name
    assert moved > 5, "training that moves nothing would prove nothing"


@pytest.mark.parametrize("parts", [2, 3, 100])
def test_a_batch_in_parts_gives_the_weights_of_a_whole_one(any_net, tiny_domain, parts):
    weights = []
    for accumulate in (1, parts):
        net = all_trainable(any_net())
        # 30 pictures in batches of 7: a tail of 2, and parts of uneven sizes.
        options = Settings(epochs=2, batch_size=7, base_lr=1e-3, accumulate=accumulate, keep_best=False)
        fit(net, tiny_domain, options, optimizer=sgd(net))
        weights.append(snapshot(net))
    assert_moved_alike(snapshot(any_net()), *weights)


def test_one_step_in_parts_is_the_step_written_out_by_hand(any_net, tiny_domain):
    by_hand, net = all_trainable(any_net()), all_trainable(any_net())
    images = by_hand.normalise(tiny_domain.images[tiny_domain.train].float() / 255)
    by_hand.train()
    nn.functional.cross_entropy(by_hand(images), tiny_domain.labels[tiny_domain.train]).backward()
    sgd(by_hand).step()
    options = Settings(epochs=1, batch_size=30, base_lr=1e-3, accumulate=4)
    fit(net, tiny_domain, options, optimizer=sgd(net))
    assert_moved_alike(snapshot(any_net()), snapshot(by_hand), snapshot(net))


def test_the_tail_of_an_epoch_is_stepped_and_weighed_by_its_pictures(any_net, tiny_domain):
    net, steps = all_trainable(any_net()), []
    optimizer = sgd(net, 1e-12)
    optimizer.register_step_pre_hook(lambda *_: steps.append(1))
    options = Settings(epochs=2, batch_size=7, base_lr=1e-12, accumulate=3)
    history = fit(net, tiny_domain, options, optimizer=optimizer)
    assert len(steps) == 2 * math.ceil(30 / 7) and history["step"].tolist() == [5, 10]
    # At a rate of nearly 0 the mean loss while training is that of the network as it was.
    seen = evaluate(net, tiny_domain, "train")
    assert history["train_loss"].tolist() == pytest.approx([seen.loss] * 2, rel=1e-5)
    assert history["train_accuracy"].tolist() == pytest.approx([seen.accuracy] * 2)


def test_patterns_are_learned(tiny_net, tiny_domain):
    net = tiny_net()
    freeze_all_but(net, net.names)
    history = fit(net, tiny_domain, Settings(epochs=8, batch_size=10, base_lr=0.02, lr_decay=1.0))
    assert history["train_loss"].iloc[-1] < 0.7 * history["train_loss"].iloc[0]
    assert evaluate(net, tiny_domain).accuracy > 0.5, "chance is a third"


def test_a_seed_fixes_a_run_and_leaves_no_trace_in_any_generator(any_net, tiny_domain):
    options = Settings(epochs=2, batch_size=10, augmentation=("flip", "crop"))
    histories = []
    for seed in (0, 1):
        torch.manual_seed(seed), np.random.seed(seed), random.seed(seed)
        states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
        net = any_net(dropout=0.5)
        freeze_all_but(net, net.names[2:])
        histories.append(numbers(fit(net, tiny_domain, options)))
        assert torch.equal(states[0], torch.get_rng_state())
        assert (states[1] == np.random.get_state()[1]).all() and states[2] == random.getstate()
    assert histories[0] == histories[1]
    net = any_net(dropout=0.5)
    assert numbers(fit(net, tiny_domain, Settings(epochs=2, batch_size=10, seed=1))) != histories[0]


def test_evaluate_touches_nothing(any_net, tiny_domain):
    net = any_net()
    freeze_all_but(net, net.names[1:])
    net.train()
    net(net.normalise(pixels(tiny_domain))).sum().backward()
    before, modes = snapshot(net), [module.training for module in net.modules()]
    asks = [p.requires_grad for p in net.parameters()]
    gradients = [None if p.grad is None else p.grad.clone() for p in net.parameters()]
    generator = torch.get_rng_state()
    seen = evaluate(net, tiny_domain, "validation")
    assert not changed(before, net)
    assert modes == [module.training for module in net.modules()]
    assert asks == [p.requires_grad for p in net.parameters()]
    for old, parameter in zip(gradients, net.parameters(), strict=True):
        assert old is parameter.grad is None or torch.equal(old, parameter.grad)
    assert torch.equal(generator, torch.get_rng_state())
    assert torch.equal(seen.labels, tiny_domain.labels[tiny_domain.validation]), "in the order of the split"
    assert seen.logits.shape == (9, 3) and not seen.logits.requires_grad
    assert seen.accuracy == pytest.approx((seen.logits.argmax(1) == seen.labels).float().mean().item())
    assert seen.loss == pytest.approx(nn.functional.cross_entropy(seen.logits, seen.labels).item())


def test_evaluate_knows_its_splits(tiny_net, tiny_domain):
    with pytest.raises(ValueError, match="use 'train', 'validation' or 'test'"):
        evaluate(tiny_net(), tiny_domain, "testing")


def test_what_is_no_model_no_domain_or_no_settings_is_reported_with_the_remedy(tiny_net, tiny_domain):
    net = tiny_net()
    for run in (fit, evaluate, lr_finder):
        with pytest.raises(
            TypeError, match="a Sequential, not a network of named groups: make one with build"
        ):
            run(nn.Sequential(nn.Flatten(), nn.Linear(3072, 3)), tiny_domain)
        with pytest.raises(TypeError, match="as str, not as a Domain: open them with load or folder"):
            run(net, "solar")
    with pytest.raises(TypeError, match="settings is a tuple, not Settings: a plan goes to stages="):
        fit(net, tiny_domain, (Stage(("head",), 1, 1e-3),))
    assert len(fit(net, tiny_domain, Settings(batch_size=30), Stage(("head",), 1, 1e-3))) == 1


def test_fit_leaves_the_network_in_evaluation_mode_with_the_last_stage_trainable(any_net, tiny_domain):
    net = any_net()
    fit(
        net, tiny_domain, Settings(batch_size=30), [Stage(("head",), 1, 1e-3), Stage(net.names[-2:], 1, 1e-4)]
    )
    assert not any(module.training for module in net.modules())
    assert net.trainable_names == net.names[-2:]


def test_nothing_to_train_and_too_few_outputs_are_reported_before_training(tiny_net, tiny_domain):
    net = tiny_net()
    freeze_all_but(net, ())
    with pytest.raises(ValueError, match="Nothing is trainable: unfreeze a group first"):
        fit(net, tiny_domain)
    with pytest.raises(ValueError, match="Nothing is trainable"):
        fit(tiny_net(), tiny_domain, stages=[])
    net = tiny_net()
    net.head = nn.Sequential(nn.Linear(16, 2))
    before = snapshot(net)
    with pytest.raises(ValueError, match="3 classes but the head only 2 outputs: build .* num_classes=3"):
        fit(net, tiny_domain)
    with pytest.raises(ValueError, match="3 classes but the head only 2 outputs"):
        evaluate(net, tiny_domain)
    assert not changed(before, net)


def test_later_stages_take_their_rate_from_the_plan(tiny_net, tiny_domain):
    net = tiny_net()
    stages = partial_finetune(net, 2, how="linear probe first", epochs=2, base_lr=0.01)
    history = fit(net, tiny_domain, Settings(schedule="constant", batch_size=30), stages)
    assert history["learning_rate"].tolist() == pytest.approx([0.01, 0.001])
    assert history["stage"].tolist() == [1, 2] and history["epoch"].tolist() == [1, 2]
    assert history["freeze_depth"].tolist() == [3, 2]


def sizes_seen(net) -> list[int]:
    """Filled while training: how many pictures each BatchNorm that normalises by the batch is given."""
    seen = []
    for norm in norms(net):
        norm.register_forward_hook(lambda norm, x, _: seen.append(len(x[0])) if norm.training else None)
    return seen


@pytest.mark.parametrize("parts", [1, 2, 3, 100])
@pytest.mark.parametrize(("batch", "steps"), [(29, 1), (10, 3), (7, 5), (2, 15), (28, 2), (30, 1), (64, 1)])
def test_a_last_batch_or_part_of_one_joins_the_one_before_it_where_the_batch_normalises(
    tiny_net, tiny_domain, batch, steps, parts
):
    net = tiny_net()
    freeze_all_but(net, net.names)
    seen = sizes_seen(net)
    options = Settings(epochs=2, batch_size=batch, accumulate=parts, keep_best=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        history = fit(net, tiny_domain, options)
    assert min(seen) >= 2 and sum(seen) == 2 * 30 * len(norms(net)), "every picture once an epoch"
    assert history["step"].tolist() == [steps, 2 * steps]


def test_a_tail_of_one_trains_where_the_last_maps_are_a_single_pixel(tiny_net, tiny_domain):
    """There torch itself refuses to normalise one picture by itself."""
    net = tiny_net()
    freeze_all_but(net, net.names)
    few = dataclasses.replace(tiny_domain, images=tiny_domain.images[:, :, ::4, ::4].contiguous())
    history = fit(net, few, Settings(epochs=2, batch_size=29))
    assert history["train_loss"].notna().all() and history["step"].tolist() == [1, 2]


def test_where_stored_statistics_normalise_a_last_batch_of_one_stays_one(tiny_net, tiny_domain):
    net = tiny_net(pretrained=True)
    freeze_all_but(net, net.names)
    assert fit(net, tiny_domain, Settings(epochs=1, batch_size=29))["step"].tolist() == [2]


def test_steps_are_counted_over_stages_with_other_batches(tiny_net, tiny_domain):
    net = tiny_net()
    stages = partial_finetune(net, 4, how="linear probe first", epochs=4)
    assert fit(net, tiny_domain, Settings(batch_size=29), stages)["step"].tolist() == [2, 4, 5, 6]


def test_batches_of_one_are_refused_where_the_batch_normalises(tiny_net, tiny_domain):
    net = tiny_net()
    freeze_all_but(net, net.names)
    with pytest.raises(
        ValueError, match="one picture has nothing to be normalised by: use batch_size=2 or more"
    ):
        fit(net, tiny_domain, Settings(epochs=1, batch_size=1))
    assert len(fit(tiny_net(), tiny_domain, Settings(epochs=1, batch_size=1))) == 1, "the head alone"


def test_accumulation_is_said_to_be_another_step_where_the_batch_normalises(tiny_net, tiny_domain):
    def go(pretrained, accumulate, trained):
        net = tiny_net(pretrained=pretrained)
        freeze_all_but(net, net.names[-trained:])
        fit(net, tiny_domain, Settings(epochs=1, batch_size=10, accumulate=accumulate))

    with pytest.warns(
        UserWarning, match="accumulate=4: BatchNorm normalises each part by itself .*accumulate=1"
    ):
        go(False, 4, trained=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        go(False, 1, trained=4), go(False, 4, trained=1), go(True, 4, trained=4)


def test_dropout_draws_other_numbers_in_every_epoch(any_net, tiny_domain):
    net, seen = any_net(dropout=0.5), []
    net.head.dropout.register_forward_hook(
        lambda module, x, y: seen.append((x[0] != 0, y == 0)) if module.training else None
    )
    fit(net, tiny_domain, Settings(epochs=3, batch_size=30))
    assert len(seen) == 3
    for (there, dropped), (there_then, dropped_then) in itertools.combinations(seen, 2):
        both = there & there_then  # a feature that is zero anyway shows no dropout
        assert both.sum() > 50 and not torch.equal(dropped[both], dropped_then[both])
