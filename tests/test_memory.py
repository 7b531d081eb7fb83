"""The memory calculator against what a step really allocates, and sums that can be done by hand."""

import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from labutils import build_feature_extractor, discriminative_lr_optimizer, freeze_all_but
from labutils.gradient_checkpointing import run_checkpointed
from labutils.memory import largest_batch, memory_costs, peak_allocated, training_memory

MB = 1e6
TWO_GROUPS = pd.DataFrame(
    {
        "group": ["stem", "head"],
        "weights": [10.0, 4.0],
        "trainable": [8.0, 4.0],
        "largest": [8.0, 4.0],
        **{"kept_fixed": 0.0, "kept_each": [5.0, 1.0], "input_fixed": 0.0, "input_each": [1.0, 2.0]},
        **{
            "forward_fixed": 0.0,
            "forward_each": [4.0, 2.0],
            "step_fixed": [8.0, 4.0],
            "step_each": [9.0, 3.0],
        },
    }
)


def really_held(model, trained: int, size: int, batch: int, low: bool, checkpointing: bool) -> float:
    """Megabytes of weights, optimizer state and everything that one step of training allocates."""
    model = model.to(memory_format=torch.channels_last)
    freeze_all_but(model, model.names[-trained:])
    model.train()
    optimizer = discriminative_lr_optimizer(model)
    depth = len(model) - trained
    x, labels = torch.rand(batch, 3, size, size), torch.zeros(batch, dtype=torch.int64)
    x = x.contiguous(memory_format=torch.channels_last)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            with torch.no_grad():
                seen = model[:depth](x.clone())
            suffix = model[depth:]
            answers = run_checkpointed(suffix, seen) if checkpointing else suffix(seen)
        loss = F.cross_entropy(answers.float(), labels)
        del seen, answers
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    step()  # makes the optimizer's state
    state = sum(t.nbytes for s in optimizer.state.values() for t in s.values() if t.ndim)
    weights = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    return (weights + state) / MB + peak_allocated(step)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "resnet18"])
def test_the_sum_is_what_a_step_holds_within_a_fifth(backbone, precision):
    model = build_feature_extractor(backbone, 2, pretrained=False)
    model.stored_statistics = True
    costs = memory_costs(model, 96, precision)
    for trained in (1, 3, len(model)):
        for batch in (8, 24):
            for checkpointing in (False, True):
                told = training_memory(costs, trained, batch, checkpointing).total
                held = really_held(model, trained, 96, batch, precision == "bfloat16", checkpointing)
                assert told == pytest.approx(held, rel=0.2), (trained, batch, checkpointing, told, held)


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
    model = build_feature_extractor("resnet50", 2, pretrained=False)
    model.stored_statistics = True
    costs = memory_costs(model, 224, "bfloat16")
    model = model.to("cuda", memory_format=torch.channels_last).train()
    optimizer = discriminative_lr_optimizer(model)
    x, labels = torch.rand(64, 3, 224, 224, device="cuda"), torch.zeros(64, dtype=torch.int64, device="cuda")

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            loss = F.cross_entropy(model(x.contiguous(memory_format=torch.channels_last)).float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    step()
    static = sum(t.nbytes for t in (*model.parameters(), *model.buffers())) * 1.0
    static += sum(t.nbytes for s in optimizer.state.values() for t in s.values() if t.ndim)
    held = static / MB + peak_allocated(step, "cuda")
    assert training_memory(costs, len(model), 64).total == pytest.approx(held, rel=0.1)
