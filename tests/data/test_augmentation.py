"""A view depends on picture, number of the view and seed: not on the batch, and on no global generator."""

import pytest
import torch
from helpers import pixels

from labutils.data.augmentation import Augmentation
from labutils.training.settings import AUGMENTATIONS

EACH = [(name,) for name in AUGMENTATIONS]
ALL = tuple(AUGMENTATIONS)
everyone = pytest.mark.parametrize("names", [*EACH, ALL], ids=lambda names: "+".join(names))


def make(names, domain, seed=0) -> Augmentation:
    return Augmentation(names, len(domain.images), domain.image_size, seed)


def view(names, domain, ids, number=0, seed=0, channels=3) -> torch.Tensor:
    pictures = pixels(domain, len(domain.images))[ids, :channels]
    return make(names, domain, seed)(pictures, ids, number)


@everyone
@pytest.mark.parametrize("channels", [1, 3])
def test_a_view_does_not_depend_on_the_batch(tiny_domain, names, channels):
    everything = torch.arange(len(tiny_domain.images))
    whole = view(names, tiny_domain, everything, channels=channels)
    for ids in (torch.tensor([5]), torch.tensor([40, 3, 17, 3]), everything.flip(0)):
        assert torch.allclose(view(names, tiny_domain, ids, channels=channels), whole[ids], atol=1e-6)


@everyone
def test_same_seed_and_view_same_pixels_and_others_differ(tiny_domain, names):
    ids = torch.arange(48)
    first = view(names, tiny_domain, ids)
    assert torch.equal(first, view(names, tiny_domain, ids))
    assert not torch.equal(first, view(names, tiny_domain, ids, number=1))
    assert not torch.equal(first, view(names, tiny_domain, ids, seed=1))
    augmentation, pictures = make(names, tiny_domain), pixels(tiny_domain, 48)
    augmentation(pictures, ids, 0), augmentation(pictures, ids, 1)
    assert torch.equal(augmentation(pictures, ids, 0), first), "going back to an earlier view"


@everyone
def test_pictures_are_changed_each_in_its_own_way_and_stay_pictures(tiny_domain, names):
    ids = torch.arange(48)
    seen, before = view(names, tiny_domain, ids), pixels(tiny_domain, 48)
    assert seen.shape == before.shape and seen.dtype == torch.float32
    assert seen.min() >= 0 and seen.max() <= 1
    same = [torch.allclose(one, other, atol=1e-4) for one, other in zip(seen, before, strict=True)]
    assert sum(same) < 40, "most are changed"
    ones = torch.ones(48, 3, 32, 32)
    assert make(names, tiny_domain)(ones, ids, 0).max() <= 1


def test_the_given_pictures_are_not_changed(tiny_domain):
    pictures, ids = pixels(tiny_domain, 48), torch.arange(48)
    make(ALL, tiny_domain)(pictures, ids, 0)
    assert torch.equal(pictures, pixels(tiny_domain, 48))


def test_flips_are_flips(tiny_domain):
    ids, before = torch.arange(48), pixels(tiny_domain, 48)
    for names, axis in ((("flip",), -1), (("vertical_flip",), -2)):
        flipped = 0
        for one, other in zip(view(names, tiny_domain, ids), before, strict=True):
            turned = torch.allclose(one, other.flip(axis), atol=1e-5)
            assert turned or torch.allclose(one, other, atol=1e-5)
            flipped += turned
        assert 8 < flipped < 40, "about half of them"


def test_quarter_turns_are_the_four_turns_without_blur_or_border(tiny_domain):
    before, found = pixels(tiny_domain, 48), set()
    for picture, turned in zip(before, view(("quarter_turns",), tiny_domain, torch.arange(48)), strict=True):
        fits = [k for k in range(4) if torch.allclose(turned, torch.rot90(picture, k, (1, 2)), atol=1e-3)]
        assert fits, "none of the four turns"
        found.update(fits)
    assert found == {0, 1, 2, 3}


def test_crops_are_resized_parts_of_the_picture(tiny_domain):
    ids = torch.arange(48)
    # Pictures whose pixels say where they were: columns from 0 to 1.
    ramp = torch.linspace(0, 1, 32).expand(48, 3, 32, 32)
    width = make(("crop",), tiny_domain)(ramp, ids, 0)[:, 0, 16]
    span = width[:, -1] - width[:, 0]
    assert (span > 0.6).all() and (span < 1.01).all() and span.std() > 0.01
    assert (width.diff(dim=1) >= -1e-6).all(), "nothing is mirrored or torn"


def test_jitter_changes_brightness_and_contrast_by_a_fifth_at_most(tiny_domain):
    grey = torch.full((48, 3, 32, 32), 0.5)
    seen = make(("jitter",), tiny_domain)(grey, torch.arange(48), 0)
    # The fifth of white is added or taken away, the fifth of the value comes on top.
    assert seen.min() > (0.5 - 0.2) * 0.8 - 0.05 and seen.max() < (0.5 + 0.2) * 1.2 + 0.01
    assert seen.std() > 0.01


@everyone
def test_grey_pictures_stay_grey(tiny_domain, names):
    seen = view(names, tiny_domain, torch.arange(8), channels=1)
    assert seen.shape[1] in (1, 3) and seen.shape[2:] == (32, 32)
    if seen.shape[1] == 3:
        assert torch.allclose(seen[:, 0], seen[:, 1], atol=1e-5) and torch.allclose(
            seen[:, 0], seen[:, 2], atol=1e-5
        )


@everyone
def test_no_global_generator_is_moved(tiny_domain, names):
    before = torch.get_rng_state()
    view(names, tiny_domain, torch.arange(48))
    assert torch.equal(before, torch.get_rng_state())


def test_without_names_or_view_nothing_happens(tiny_domain):
    pictures, ids = pixels(tiny_domain), torch.arange(8)
    assert torch.equal(make((), tiny_domain)(pictures, ids, 3), pictures)
    assert torch.equal(make(ALL, tiny_domain)(pictures, ids, None), pictures)
    assert make((), tiny_domain).key(3) == make(ALL, tiny_domain).key(None) == ()
    assert make(ALL, tiny_domain).key(3) != make(ALL, tiny_domain).key(2)
