"""Agreement with the original: 1 for the original itself, whatever the new head; falls as groups move."""

import pytest
import torch
from helpers import changed, pixels, snapshot, with_statistics
from torch import nn

from labutils import LayerGroups, load_backbone
from labutils.analysis.agreement_with_original import (
    PHOTOGRAPHS,
    agreement,
    answers,
    between,
    imagenet_name,
    known_pictures,
    with_old_head,
)


@pytest.fixture
def original(tiny_backbone, tiny_domain):
    return with_statistics(load_backbone(tiny_backbone), tiny_domain.images)


@pytest.fixture
def tuned(tiny_net, original):
    """Groups of the original under a new head."""
    net = tiny_net()
    for name in net.names[:-1]:
        getattr(net, name).load_state_dict(getattr(original, name).state_dict())
    return net


def push(net: LayerGroups, size: float) -> LayerGroups:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net[:-1].parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))
    return net


def test_a_new_head_on_the_same_groups_agrees_wholly(tuned, original, tiny_domain):
    kept = agreement(tuned, original, tiny_domain.images)
    assert kept.top1 == 1.0 and kept.kl == pytest.approx(0, abs=1e-6)


def test_the_further_the_groups_move_the_less_is_kept(tuned, original, tiny_domain):
    found = [agreement(push(tuned, size), original, tiny_domain.images) for size in (0.01, 0.1, 1.0)]
    assert found[0].kl < found[1].kl < found[2].kl
    assert found[0].top1 >= found[1].top1 >= found[2].top1
    assert found[2].top1 < 0.9


def test_divergence_is_that_of_the_new_answers_from_the_old(tuned, original, tiny_domain):
    push(tuned, 0.3)
    images = tiny_domain.images[:8]
    old, new = answers(original, images), answers(with_old_head(tuned, original), images)
    by_hand = (old.exp() * (old - new)).sum(1).mean()
    assert agreement(tuned, original, images).kl == pytest.approx(float(by_hand), rel=1e-4)


def test_nothing_is_changed(tuned, original, tiny_domain):
    tuned.train()
    before = [snapshot(net) for net in (tuned, original)]
    modes = [module.training for module in tuned.modules()]
    agreement(tuned, original, tiny_domain.images[:4])
    assert not changed(before[0], tuned) and not changed(before[1], original)
    assert [module.training for module in tuned.modules()] == modes


def test_answers_are_logarithms_of_probabilities_whatever_the_batch(original, tiny_domain):
    images = tiny_domain.images[:9]
    found = answers(original, images, batch_size=4)
    assert found.shape == (9, 1000)
    assert torch.allclose(found.exp().sum(1), torch.ones(9), atol=1e-4)
    expected = original.eval()(original.normalise(pixels(tiny_domain, 9))).log_softmax(1)
    assert torch.allclose(found, expected, atol=1e-4)


def test_other_groups_are_refused(original):
    other = LayerGroups({"stem": nn.Linear(2, 2), "head": nn.Sequential(nn.Linear(2, 2))})
    with pytest.raises(ValueError, match="stem, head and stem, layer1"):
        agreement(other, original, torch.zeros(1, 3, 32, 32, dtype=torch.uint8))


def test_between_goes_from_the_original_to_the_model(tuned, original):
    push(tuned, 0.5)
    start, half, end = (between(original, tuned, share) for share in (0, 0.5, 1))
    assert torch.equal(start.stem[0].weight, original.stem[0].weight)
    assert torch.equal(end.stem[0].weight, tuned.stem[0].weight)
    middle = (original.stem[0].weight + tuned.stem[0].weight) / 2
    assert torch.allclose(half.stem[0].weight, middle)
    assert all(torch.equal(net.head[-1].weight, tuned.head[-1].weight) for net in (start, half, end))
    with pytest.raises(ValueError, match="0 .the original. to 1"):
        between(original, tuned, 1.5)


def test_known_pictures_are_always_the_same_crops_and_move_no_generator():
    state = torch.get_rng_state()
    first = known_pictures(48, crops=3)
    assert first.shape == (3 * len(PHOTOGRAPHS), 3, 48, 48) and first.dtype == torch.uint8
    assert torch.equal(first, known_pictures(48, crops=3))
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.equal(first[0], first[1])


@pytest.mark.slow
def test_the_original_does_know_them():
    names = [
        imagenet_name(i)
        for i in answers(load_backbone("efficientnet_lite0"), known_pictures(160, 4)).argmax(1)
    ]
    for wanted, start in (("tripod", 0), ("espresso", 8), ("moped", 12)):
        assert names[start : start + 4] == [wanted] * 4
    assert all("cat" in name or "tabby" in name for name in names[4:8])
