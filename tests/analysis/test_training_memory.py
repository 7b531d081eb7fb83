"""The memory calculator against what a step really allocates, and sums that can be done by hand."""

import pytest
import torch
from helpers import TWO_GROUPS, coloured_patterns

from labutils import Settings, build_feature_extractor
from labutils.analysis.training_memory import (
    largest_batch,
    memory_costs,
    peak_allocated,
    step_memory,
    training_memory,
)


# Most CPUs emulate bfloat16, so there the pictures are smaller and the depthwise network, too.
@pytest.mark.parametrize(
    "backbone, precision, size, batch",
    [
        ("efficientnet_lite0", "float32", 96, 24),
        ("resnet18", "float32", 64, 24),
        ("mobilenet_v3_small", "bfloat16", 32, 16),
        ("resnet18", "bfloat16", 32, 12),
    ],
)
def test_the_sum_is_what_a_step_holds_within_a_fifth(backbone, precision, size, batch):
    model = build_feature_extractor(backbone, 3, pretrained=False)
    model.stored_statistics = True
    noise, costs = coloured_patterns(size=size), memory_costs(model, size, precision)
    few, whole = batch // 3, len(model)
    for trained, count, checkpointing in (
        *((1, batch, False), (3, few, False), (3, batch, True)),
        *((whole, few, False), (whole, batch, False), (whole, batch, True)),
    ):
        predicted = training_memory(costs, trained, count, checkpointing).total
        settings = Settings(batch_size=count, precision=precision, gradient_checkpointing=checkpointing)
        held, _ = step_memory(model, noise, settings, trained)
        assert predicted == pytest.approx(held, rel=0.2), (trained, count, checkpointing, predicted, held)


def test_measuring_a_step_leaves_the_model_alone(tiny_net, tiny_domain):
    net = tiny_net()
    before = [p.clone() for p in net.parameters()]
    held, seconds = step_memory(net, tiny_domain, Settings(batch_size=8), 2)
    assert held > 0 and seconds > 0 and all(map(torch.equal, before, net.parameters()))


def test_peak_of_a_function_counts_what_is_freed_again():
    def twice():
        a = torch.zeros(1_000_000)
        del a
        b = torch.zeros(2_000_000)
        c = b + 1
        del b
        return c

    assert peak_allocated(twice) == pytest.approx(16, abs=0.1)


def test_the_fullest_moment_by_hand():
    # Head alone, 2 pictures: frozen stem 8, step of the head 4 + 6, update 4 + 2 · 4. The last is the most.
    memory = training_memory(TWO_GROUPS, 1, 2)
    assert (memory.weights, memory.optimizer, memory.gradients, memory.working) == (14, 8, 4, 8)
    # All, 10 pictures: backward of the stem holds its step, 8 + 90, and the head's gradient.
    memory = training_memory(TWO_GROUPS, 2, 10)
    assert (memory.gradients, memory.activations) == (4 + 8, 50)
    assert memory.total == 14 + 24 + 4 + 98


def test_checkpointing_keeps_the_inputs_only():
    costs = TWO_GROUPS.assign(step_each=[3.0, 9.0])  # the head's moment is the fullest
    plain, recomputed = (training_memory(costs, 2, 10, on) for on in (False, True))
    assert plain.activations - recomputed.activations == 50 - 10


def test_the_largest_batch_fits_and_one_more_does_not():
    batch = largest_batch(TWO_GROUPS, 2, 500)
    assert (
        training_memory(TWO_GROUPS, 2, batch).total <= 500 < training_memory(TWO_GROUPS, 2, batch + 1).total
    )
    assert largest_batch(TWO_GROUPS, 2, 20) == 0


@pytest.mark.parametrize("trained, batch", [(0, 1), (3, 1), (1, 0)])
def test_out_of_range(trained, batch):
    with pytest.raises(ValueError, match="use 1 to 2 groups"):
        training_memory(TWO_GROUPS, trained, batch)


def test_the_model_is_not_changed(tiny_net):
    net = tiny_net()
    before = [(p.clone(), p.requires_grad, p.grad) for p in net.parameters()]
    costs = memory_costs(net, 32)
    assert costs["group"].tolist() == list(net.names) and net.training
    assert all(
        torch.equal(b, p) and r == p.requires_grad and p.grad is g
        for (b, r, g), p in zip(before, net.parameters(), strict=True)
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_sum_is_what_a_gpu_holds_within_a_tenth():
    model = build_feature_extractor("resnet50", 3, pretrained=False)
    model.stored_statistics = True
    costs = memory_costs(model, 224, "bfloat16")
    settings = Settings(batch_size=64, precision="bfloat16", device="cuda")
    held, _ = step_memory(model, coloured_patterns(per_class=64, size=224), settings, len(model))
    assert training_memory(costs, len(model), 64).total == pytest.approx(held, rel=0.1)
