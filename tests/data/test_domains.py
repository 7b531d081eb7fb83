"""Domains: sound by construction, split without overlap, decoded once, and never trusted blindly."""

import warnings
from importlib import import_module
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from labutils import data as domains
from labutils.data import DataError, Domain, split
from labutils.data.decode_cache import Decoded, decode_once, divide
from labutils.data.decoding import room_for
from labutils.data.public import SETS
from labutils.data.textures import COUNTS, crops, even_contrast, regions

# Machines that run other things as well are slow now and then: no deadline for a single example.
unhurried = settings(deadline=None)
counts_per_class = st.lists(st.integers(3, 60), min_size=2, max_size=6)
seeds = st.integers(0, 2**32 - 1)


def labels_of(counts):
    return torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))


def tiny(counts=(6, 6), **changes):
    labels = labels_of(counts)
    train, validation, test = split(labels, seed=0)
    fields = {
        "name": "tiny",
        "images": torch.arange(len(labels) * 16).to(torch.uint8).view(-1, 1, 4, 4),
        "labels": labels,
        "classes": tuple("abcdefgh"[: len(counts)]),
        "train": train,
        "validation": validation,
        "test": test,
        "source": "made up",
    }
    return Domain(**{**fields, **changes})


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(tmp_path))
    return tmp_path


# ---- the type


def test_a_domain_describes_itself():
    domain = tiny()
    assert (domain.image_size, domain.channels) == (4, 1)
    assert (
        repr(domain) == "Domain('tiny': 12 grey pictures of 4 px, 2 classes, 6 train / 2 validation / 4 test)"
    )
    assert "a 6 (3 / 1 / 2), b 6 (3 / 1 / 2)" in domain.describe() and "made up" in domain.describe()


ids = torch.arange(12)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"images": torch.zeros(12, 1, 4, 4)}, "uint8"),
        ({"images": torch.zeros(12, 4, 4, 1, dtype=torch.uint8)}, "channels second"),
        ({"images": torch.zeros(12, 1, 4, 5, dtype=torch.uint8)}, "S, S"),
        ({"labels": torch.zeros(11, dtype=torch.int64)}, r"\(12,\)"),
        ({"labels": torch.zeros(12)}, "int64"),
        ({"labels": [0] * 12}, "labels must be a tensor, not a list: use torch.tensor"),
        ({"test": list(range(8, 12))}, "test must be a tensor"),
        ({"labels": torch.tensor([0] * 7 + [2] + [1] * 4)}, "label 2 of sample 7 is out of range.*0 to 1"),
        ({"labels": torch.tensor([0] * 3 + [-1] + [1] * 8)}, "label -1 of sample 3"),
        ({"classes": ("a",), "labels": torch.zeros(12, dtype=torch.int64)}, "two classes"),
        ({"train": ids[:0]}, "train must be a non-empty"),
        ({"test": ids[:2].float()}, "test must be"),
        ({"train": torch.tensor([0, 12])}, "train names sample 12"),
        ({"train": ids[:4], "validation": ids[3:6], "test": ids[6:]}, "sample 3 appears more than once"),
        ({"train": ids[[0, 0]], "validation": ids[3:6], "test": ids[6:]}, "sample 0 appears more than once"),
    ],
)
def test_an_unsound_domain_cannot_be_made(changes, message):
    with pytest.raises(DataError, match=message):
        tiny(**changes)


def test_the_fingerprint_follows_pixels_and_labels_and_nothing_else():
    domain = tiny()
    assert domain.fingerprint == tiny(name="other").fingerprint == domain.labelled(3, seed=1).fingerprint
    images, labels = domain.images.clone(), domain.labels.clone()
    images[5, 0, 2, 2] += 1
    labels[0] = 1
    others = {tiny(images=images).fingerprint, tiny(labels=labels).fingerprint, domain.fingerprint}
    assert len(others) == 3


# ---- splits


@unhurried
@given(counts_per_class, seeds)
def test_a_split_is_disjoint_complete_and_stratified(counts, seed):
    labels = labels_of(counts)
    parts = split(labels, seed)
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(len(labels)))
    for part, share in zip(parts, (0.6, 0.15, 0.25), strict=True):
        for label, count in enumerate(counts):
            in_part = int((labels[part] == label).sum())
            assert in_part >= 1 and abs(in_part - share * count) <= 1
    for part, again in zip(parts, split(labels, seed), strict=True):
        assert torch.equal(part, again)


@unhurried
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), min_size=30, max_size=120), seeds)
def test_a_split_keeps_the_proportions_of_strata_too(pairs, seed):
    labels, strata = (torch.tensor(column) for column in zip(*pairs, strict=True))
    if labels.bincount(minlength=2).min() < 3:
        return
    _, validation, test = split(labels, seed, strata=strata)
    for label, kind in ((0, 0), (0, 2), (1, 1)):
        group = (labels == label) & (strata == kind)
        assert abs(int(group[test].sum()) - 0.25 * int(group.sum())) <= 2
        assert abs(int(group[validation].sum()) - 0.15 * int(group.sum())) <= 2


def test_another_seed_gives_another_split():
    labels = labels_of([50, 50])
    assert not torch.equal(split(labels, seed=0)[2], split(labels, seed=1)[2])


@pytest.mark.parametrize("counts", [[2, 9], [9, 1]])
def test_a_class_too_small_for_the_split_is_named_with_its_count(counts):
    name, count = ("cat", 2) if counts[0] == 2 else ("dog", 1)
    with pytest.raises(DataError, match=f"'{name}' has {count} picture"):
        split(labels_of(counts), seed=0, classes=("cat", "dog"))


@pytest.mark.parametrize("validation, test", [(0, 0.5), (0.5, 0.5), (0.2, -0.1)])
def test_shares_that_leave_a_part_empty_are_refused(validation, test):
    with pytest.raises(DataError, match="share"):
        split(labels_of([9, 9]), seed=0, validation=validation, test=test)


# ---- fewer labels


@unhurried
@given(counts_per_class, seeds, st.data())
def test_fewer_labels_keep_proportions_and_are_nested(counts, seed, data):
    domain = tiny(tuple(counts))
    whole = domain.labels[domain.train].bincount()
    n = data.draw(st.integers(len(counts), len(domain.train)))
    fewer = domain.labelled(n, seed)
    chosen = domain.labels[fewer.train].bincount(minlength=len(counts))
    assert len(fewer.train) == n and chosen.min() >= 1
    assert set(fewer.train.tolist()) <= set(domain.train.tolist())
    assert torch.equal(fewer.validation, domain.validation) and torch.equal(fewer.test, domain.test)
    assert torch.equal(fewer.train, domain.labelled(n, seed).train)
    smaller = domain.labelled(max(len(counts), n // 2), seed)
    assert set(smaller.train.tolist()) <= set(fewer.train.tolist())
    # Within half a picture of one share of every class. Nested choices cannot promise to be within one of n · whole / all
    # (Balinski and Young 1982). A class is not asked where it was lifted to its one picture, or is used up.
    at_least, at_most = (chosen - 0.5) / whole, (chosen + 0.5) / whole
    at_least, at_most = at_least[chosen > 1], at_most[chosen < whole]
    if len(at_least) and len(at_most):
        assert at_least.max() <= at_most.min() + 1e-6


def test_all_labels_give_the_whole_training_split():
    domain = tiny()
    assert torch.equal(domain.labelled(len(domain.train), seed=3).train, domain.train)


@pytest.mark.parametrize("n", [-1, 0, 1, 7, 2.5, "4"])
def test_an_impossible_number_of_labels_names_the_range(n):
    with pytest.raises(DataError, match="from 2 .* to 6"):
        tiny().labelled(n, seed=0)


# ---- decoding once


def made(value=0):
    images = torch.full((12, 1, 4, 4), value, dtype=torch.uint8)
    return Decoded(images, labels_of([6, 6]), ("a", "b"), {"strata": torch.arange(12) % 2})


def never():
    raise AssertionError("decoded although it was kept")


def test_what_was_decoded_is_read_back_the_same(tmp_path):
    path = tmp_path / "deep" / "kept.safetensors"
    decode_once(path, {"size": 4}, lambda: made(7))
    kept = decode_once(path, {"size": 4}, never)
    assert torch.equal(kept.images, made(7).images) and torch.equal(kept.labels, made(7).labels)
    assert kept.classes == ("a", "b") and torch.equal(kept.extras["strata"], torch.arange(12) % 2)


def spoil(path, how):
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[:-50])
    elif how == "foreign":
        path.write_bytes(b"PK not ours at all")
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "another program's":
        from safetensors.torch import save_file

        save_file({"images": torch.zeros(1)}, path)


@pytest.mark.parametrize("how", ["truncated", "foreign", "empty", "another program's", "stale"])
def test_a_kept_file_that_is_not_what_was_asked_for_is_decoded_again(tmp_path, how):
    path = tmp_path / "kept.safetensors"
    decode_once(path, {"size": 4}, lambda: made(7))
    spoil(path, how)
    wanted = {"size": 5 if how == "stale" else 4}
    assert decode_once(path, wanted, lambda: made(9)).images.unique().tolist() == [9]
    assert decode_once(path, wanted, never).images.unique().tolist() == [9]


def test_pictures_that_cannot_be_kept_are_used_all_the_same(tmp_path):
    (tmp_path / "a file").touch()
    with pytest.warns(UserWarning, match="will be decoded again"):
        decoded = decode_once(tmp_path / "a file" / "kept.safetensors", {}, lambda: made(7))
    assert torch.equal(decoded.images, made(7).images)


def test_a_source_that_fixes_only_the_test_part_gets_a_validation_part():
    part = torch.tensor([0] * 20 + [2] * 5 + [0] * 20 + [2] * 5)
    images = torch.zeros(50, 1, 4, 4, dtype=torch.uint8)
    domain = divide("x", Decoded(images, labels_of([25, 25]), ("a", "b"), {"part": part}), 0, "made up")
    assert torch.equal(domain.test, (part == 2).nonzero().squeeze(1))
    assert domain.labels[domain.validation].tolist() == [0] * 4 + [1] * 4 and len(domain.train) == 32


# ---- loading by name


def test_an_unknown_name_gets_near_matches_and_the_whole_list():
    with pytest.raises(DataError, match="Did you mean textures.*textures, solar, digits, flowers102.*folder"):
        domains.load("texture")
    with pytest.raises(ValueError, match="'zzz'. Known are"):
        domains.load("zzz")


@pytest.mark.parametrize("size", [31, 513, 64.0, "64"])
def test_an_image_size_out_of_range_is_refused(size):
    with pytest.raises(DataError, match="from 32 to 512"):
        domains.load("digits", image_size=size)


def test_too_many_pictures_for_memory_name_a_size_that_fits():
    with pytest.raises(DataError, match="17.7 GB .* image_size=172 or less"):
        room_for(22_500, 3, 512)
    with pytest.raises(DataError, match="part of the pictures"):
        room_for(10_000_000, 3, 32)


# ---- textures


@unhurried
@given(st.integers(30, 300), st.integers(30, 300))
def test_texture_regions_share_no_pixel(height, width):
    seen = torch.zeros(height, width, dtype=torch.uint8)
    for left, top, right, bottom in regions(height, width).values():
        seen[top:bottom, left:right] += 1
    assert (seen == 1).all()


def test_texture_crops_see_only_their_own_region():
    """A picture painted in one grey per region: a single foreign value would be a shared pixel."""
    marks = {"train": 40, "validation": 120, "test": 220}
    picture = Image.new("L", (451, 300))
    for part, box in regions(300, 451).items():
        picture.paste(marks[part], box)
    for part, mark in marks.items():
        cut = crops(picture, part, torch.Generator().manual_seed(0))
        assert len(cut) == COUNTS[part]
        assert {crop.getextrema() for crop in cut} == {(mark, mark)}
        assert all(72 <= crop.width == crop.height <= 144 for crop in cut)


def test_brightness_and_contrast_tell_nothing():
    ramp = Image.linear_gradient("L")
    dark, bright = ramp.point(lambda level: level // 8), ramp.point(lambda level: 150 + level // 3)
    for crop in (dark, bright):
        pixels = torch.tensor(list(even_contrast(crop).tobytes()), dtype=torch.float)
        assert pixels.mean() == pytest.approx(128, abs=2) and pixels.std() == pytest.approx(52, abs=2)
    assert even_contrast(Image.new("L", (9, 9), 255)).getextrema() == (128, 128)


# ---- public sets


class FakePets:
    """Stands in for a torchvision data set that is on the internet but not here."""

    classes = ["cat", "dog"]
    there = False
    online = True

    def __init__(self, root, split="train", download=False):
        if download and not self.online:
            raise OSError("Name or service not known")
        FakePets.there = FakePets.there or download
        if not self.there:
            raise RuntimeError("Dataset not found. You can use download=True to download it")
        self.split = split

    def __len__(self):
        return 20 if self.split == "trainval" else 8

    def __getitem__(self, index):
        return Image.new("RGB", (50, 40), (200 * (index % 2), 0, 0)), index % 2


@pytest.fixture
def fake_pets(monkeypatch, data_folder):
    import torchvision

    monkeypatch.setattr(torchvision.datasets, SETS["pets"].class_name, FakePets)
    monkeypatch.setattr(FakePets, "there", False)
    monkeypatch.setattr(FakePets, "online", True)
    return data_folder


def test_a_public_set_is_downloaded_once_and_keeps_its_test_split(fake_pets, capsys):
    domain = domains.load("pets", image_size=32)
    assert "downloading" in capsys.readouterr().out
    assert domain.images.shape == (28, 3, 32, 32) and domain.classes == ("cat", "dog")
    assert (len(domain.train), len(domain.validation), domain.test.tolist()) == (16, 4, list(range(20, 28)))
    assert torch.equal(domain.images[:, 0, 0, 0], 200 * domain.labels.to(torch.uint8))
    domains.load("pets", image_size=40)
    assert capsys.readouterr().out == ""


def test_a_public_set_that_cannot_be_had_says_where_it_must_lie(fake_pets, monkeypatch):
    monkeypatch.setattr(FakePets, "online", False)
    place = fake_pets / "public" / "oxford-iiit-pet"
    with pytest.raises(
        DataError, match=f"Name or service.*OxfordIIITPet reads to {place}.*solar.*no network"
    ):
        domains.load("pets")


def test_a_damaged_public_set_says_what_to_delete(fake_pets, monkeypatch):
    def missing(self, index):
        raise FileNotFoundError("image_0001.jpg")

    monkeypatch.setattr(FakePets, "__getitem__", missing)
    with pytest.raises(DataError, match="pets is damaged .*image_0001.*: delete"):
        domains.load("pets")


@pytest.mark.parametrize("name", SETS)
def test_the_libraries_still_have_the_public_sets_and_their_splits(name, tmp_path):
    public = SETS[name]
    dataset_class = getattr(import_module(public.library), public.class_name)
    for split_name in public.splits or (None,):
        which = {"split": split_name} if split_name else {}
        with pytest.raises(RuntimeError, match="not found"):
            dataset_class(root=tmp_path, **which, **public.options, download=False)


@pytest.fixture
def few_x_rays(data_folder, monkeypatch):
    """A file in medmnist's format with 12 training, 4 validation and 6 test pictures, brighter in the second class."""
    import medmnist

    counts, arrays = {"train": 12, "val": 4, "test": 6}, {}
    for part, count in counts.items():
        labels = np.arange(count) % 2
        arrays[f"{part}_images"] = (100 + 100 * labels)[:, None, None].astype(np.uint8) * np.ones(
            (1, 128, 128), np.uint8
        )
        arrays[f"{part}_labels"] = labels[:, None].astype(np.uint8)
    place = data_folder / "public" / "pneumoniamnist"
    place.mkdir(parents=True)
    np.savez(place / "pneumoniamnist_128.npz", **arrays)
    monkeypatch.setitem(medmnist.INFO["pneumoniamnist"], "n_samples", counts)
    return place


def test_chest_x_rays_keep_their_classes_and_parts(few_x_rays, capsys):
    assert domains.at_hand() == ("pneumonia",)
    domain = domains.load("pneumonia", image_size=64)
    assert "downloading" not in capsys.readouterr().out
    assert domain.images.shape == (22, 3, 64, 64) and domain.classes == ("normal", "pneumonia")
    assert [len(ids) for ids in (domain.train, domain.validation, domain.test)] == [12, 4, 6]
    assert torch.equal(domain.images[:, 0, 0, 0], (100 + 100 * domain.labels).to(torch.uint8))


def test_a_set_that_was_downloaded_in_part_is_not_at_hand(few_x_rays, data_folder):
    file = few_x_rays / "pneumoniamnist_128.npz"
    file.write_bytes(file.read_bytes()[:-100])
    flowers = data_folder / "public" / "flowers-102" / "jpg"
    flowers.mkdir(parents=True)
    (flowers / "image_00001.jpg").write_bytes(b"")
    assert domains.at_hand() == ()


def test_a_set_whose_library_is_missing_says_what_to_install(monkeypatch, data_folder):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("labutils.data.public.version", missing)
    with pytest.raises(DataError, match="pneumonia is read by medmnist.*pip install medmnist"):
        domains.load("pneumonia")
    assert domains.at_hand() == ()


# ---- the real ones


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, pictures, classes, parts",
    [
        ("textures", 1440, 12, (720, 240, 480)),
        ("solar", 2624, 2, (1575, 393, 656)),
        ("digits", 5000, 10, (3000, 750, 1250)),
    ],
)
def test_the_installed_domains_are_what_the_book_says(name, pictures, classes, parts, data_folder):
    domain = domains.load(name, image_size=64)
    assert domain.images.shape == (pictures, 1, 64, 64) and len(domain.classes) == classes
    assert tuple(map(len, (domain.train, domain.validation, domain.test))) == parts
    assert domain.images.flatten(1).float().std(1).min() > 2, "a picture is blank"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = domains.load(name, image_size=64)
    assert again.fingerprint == domain.fingerprint
    if name == "solar":
        assert "CC BY-NC-SA 4.0" in domain.source and "1807.02894" in domain.source
        for part in (domain.train, domain.validation, domain.test):
            assert float((domain.labels[part] == 0).double().mean()) == pytest.approx(0.6875, abs=0.002)
    else:
        assert domain.labels.bincount().unique().tolist() == [pictures // classes]
