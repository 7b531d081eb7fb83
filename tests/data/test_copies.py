"""Equal pictures lie in one part and are counted; names, not numbers, say which class is which."""

import warnings
from dataclasses import replace

import pytest
import torch
from helpers import coloured_patterns
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_folders import fill, noise

from labutils.data import DataError, folder
from labutils.data.duplicates import digest, joined
from labutils.data.splits import divide_groups


@pytest.fixture
def top(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "kept"))
    return tmp_path / "set"


def opened(path, **how):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        domain = folder(path, 32, **how)
    return domain, "\n".join(domain.notes)


def shared(domain, one: str, other: str) -> int:
    """Pictures of a part that stand in another as well."""
    known = {domain.images[i].numpy().tobytes() for i in getattr(domain, one).tolist()}
    return sum(domain.images[i].numpy().tobytes() in known for i in getattr(domain, other).tolist())


def copy_all(place, prefix="copy_", ending=".png"):
    from PIL import Image

    for file in sorted(place.iterdir()):
        Image.open(file).save(place / f"{prefix}{file.stem}{ending}")


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif"])
@pytest.mark.parametrize("times", [1, 2])
def test_copies_stay_together_whatever_their_files_are(top, ending, times):
    fill(top / "a", top / "b", count=10)
    for place in (top / "a", top / "b"):
        for number in range(times):
            copy_all(place, "copy_" * (number + 1), ending) if not number else copy_all(
                place, "again_", ".png"
            )
    domain, said = opened(top)
    again, count = 20 * (2**times - 1), 20 * 2**times
    assert len(domain.labels) == count and f"{again} of {count} pictures are copies" in said
    assert not any(
        shared(domain, *pair) for pair in (("train", "test"), ("train", "validation"), ("validation", "test"))
    )
    assert domain.counts().min() >= 1 and abs(len(domain.test) - count / 4) <= 2 * 2**times


def test_without_copies_nothing_is_said_and_the_division_is_as_ever(top):
    fill(top / "a", top / "b", count=10)
    domain, said = opened(top)
    assert said == "" and [len(part) for part in (domain.train, domain.validation, domain.test)] == [12, 4, 4]


def test_given_parts_that_share_pictures_are_reported(top):
    for part in ("train", "val", "test"):
        fill(top / part / "a", top / part / "b")
    (top / "test" / "a" / "x.png").write_bytes((top / "train" / "a" / "0.png").read_bytes())
    (top / "val" / "b" / "x.png").write_bytes((top / "train" / "b" / "0.png").read_bytes())
    domain, said = opened(top)
    assert "The given parts share pictures: 2 pictures of validation or test" in said
    assert shared(domain, "train", "test") == 1, "and are kept as given"


def test_validation_that_the_lab_takes_shares_nothing_with_training(top):
    fill(top / "train" / "a", top / "train" / "b", top / "test" / "a", top / "test" / "b", count=8)
    copy_all(top / "train" / "a")
    domain, said = opened(top)
    assert shared(domain, "train", "validation") == 0 and "share" not in said


def test_pictures_in_two_classes_are_reported_with_their_names(top):
    fill(top / "a", top / "b")
    (top / "b" / "x.png").write_bytes((top / "a" / "2.png").read_bytes())
    assert (
        "1 pictures appear in two classes, so no network can get them right: a/2.png and b/x.png"
        in opened(top)[1]
    )


def test_a_class_of_copies_cannot_be_divided(top):
    fill(top / "a")
    fill(top / "b", count=1)
    for number in range(9):
        (top / "b" / f"x{number}.png").write_bytes((top / "b" / "0.png").read_bytes())
    with (
        pytest.warns(UserWarning),
        pytest.raises(DataError, match="'b' has 10 pictures, of which only 1 differ"),
    ):
        folder(top, 32)


def test_copies_and_groups_hang_together(top):
    fill(top / "a", top / "b", count=8)
    (top / "b" / "x.png").write_bytes((top / "a" / "0.png").read_bytes())
    domain, _ = opened(top, groups=lambda place: place if "x.png" not in place else "b/1.png")
    where = {row: part for part in ("train", "validation", "test") for row in getattr(domain, part).tolist()}
    assert where[0] == where[9] == where[16], "a/0, its copy b/x and b/1, which b/x belongs to"


def test_one_pixel_makes_another_picture_also_where_the_crop_is_the_same():
    picture = noise((60, 40))
    pixels = torch.zeros(3, 32, 32, dtype=torch.uint8)
    other = pixels.clone()
    other[0, 9, 9] = 1
    assert digest(pixels) != digest(other) and digest(pixels) == digest(pixels.clone())
    for place in ((0, 0), (59, 39)):
        changed = picture.copy()
        changed.putpixel(place, tuple(255 - value for value in picture.getpixel(place)))
        assert digest(pixels, picture) != digest(pixels, changed)


def test_chains_are_joined():
    one, other = torch.tensor([0, 1, 1, 2, 3]), torch.tensor([0, 0, 1, 2, 2])
    assert joined(one, other).tolist() == [0, 0, 0, 1, 1]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 5)), min_size=30, max_size=60), st.integers(0, 99)
)
def test_groups_are_divided_by_the_shares_and_never_torn(groups, seed):
    labels = torch.tensor([label for label, size in groups for _ in range(size)])
    group = torch.tensor([number for number, (_, size) in enumerate(groups) for _ in range(size)])
    part = divide_groups(labels, group, (0.6, 0.15, 0.25), seed)
    assert torch.equal(part, divide_groups(labels, group, (0.6, 0.15, 0.25), seed))
    assert all(len(part[group == number].unique()) == 1 for number in range(len(groups)))
    for label in labels.unique():
        inside = part[labels == label]
        if len(group[labels == label].unique()) >= 3:
            assert len(inside.unique()) == 3
        for number, share in enumerate((0.6, 0.15, 0.25)):
            assert abs(int((inside == number).sum()) - share * len(inside)) <= 5, "by one group at most"


@pytest.mark.parametrize("groups, parts", [(1, {0}), (2, {0, 2}), (3, {0, 1, 2})])
def test_a_class_of_few_groups_is_trained_on_then_tested_then_validated(groups, parts):
    labels = torch.tensor([0] * 40 + [1] * groups)
    for seed in range(5):
        part = divide_groups(labels, torch.arange(len(labels)), (0.6, 0.15, 0.25), seed)
        assert set(part[40:].tolist()) == parts


# ---- names


def test_labels_are_numbered_as_the_network_has_them():
    domain = coloured_patterns()
    more = (domain.classes[2], "another", domain.classes[0], domain.classes[1])
    matched = domain.match(more)
    assert matched.classes == more
    assert [more[i] for i in matched.labels] == [domain.classes[i] for i in domain.labels]
    assert domain.match(domain.classes) is domain and matched.match(domain.classes).labels.equal(
        domain.labels
    )


def test_unknown_names_are_refused_unless_no_picture_has_them():
    domain = coloured_patterns()
    with pytest.raises(DataError, match=f"pictures of '{domain.classes[1]}', which is not among .*rename"):
        domain.match((domain.classes[0], domain.classes[2]))
    without = replace(domain, classes=(*domain.classes, "unused"))
    assert without.match(domain.classes).classes == domain.classes
    with pytest.raises(DataError, match="'a' appears twice"):
        domain.match(("a", "b", "a"))


# ---- what a reader is shown


def test_the_summary_does_not_flatter(top):
    fill(top / "common", count=60)
    fill(top / "rare", count=3)
    text = opened(top)[0].describe().replace("\n", " ")
    assert "common 60 (36 / 9 / 15), rare 3 (1 / 1 / 1)" in text
    assert "Largest class in the test split: common, 93.8%" in text
    assert "16 test pictures are too few" in text and "6.2 points" in text
