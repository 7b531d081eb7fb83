"""Folders as people have them: what is a part, what a class, and what neither; nothing is decided in silence."""

import warnings

import pytest
import torch
from picture_folders import fill, noise

from labutils import evaluate, fit, lr_finder
from labutils.data import DataError, folder
from labutils.data.layouts.parts import part_of


@pytest.fixture
def top(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "kept"))
    return tmp_path / "set"


def opened(path, **how):
    """The domain, and what was said on opening it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        domain = folder(path, 32, **how)
    assert all(item.filename == __file__ for item in caught)
    assert [str(item.message) for item in caught] == [f"{domain.name}: {note}" for note in domain.notes]
    assert all(note in domain.describe().replace("\n", " ") for note in domain.notes)
    return domain, "\n".join(domain.notes)


def sizes(domain) -> tuple[int, ...]:
    return tuple(map(len, (domain.train, domain.validation, domain.test)))


@pytest.mark.parametrize(
    "name, part, only",
    [
        ("train", 0, True),
        ("Training", 0, True),
        ("seg_train", 0, True),
        ("train_images", 0, True),
        ("TrainingData", 0, True),
        ("trainset", 0, True),
        ("train2017", 0, True),
        ("VALID", 1, True),
        ("val", 1, True),
        ("validation-set", 1, True),
        ("dev", 1, True),
        ("Test", 2, True),
        ("test1", 2, True),
        ("testing", 2, True),
        ("eval", 2, True),
        ("hold-out", 2, True),
        ("holdout", 2, True),
        ("flowers_test", 2, False),
        ("steam train", 0, False),
        ("valve", None, False),
        ("trainers", None, False),
        ("devices", None, False),
        ("contest", None, False),
        ("train-test-split", None, False),
    ],
)
def test_names_of_parts(name, part, only):
    assert part_of(name) == (part, only)


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "test"),
        ("Train", "Validation", "TEST"),
        ("seg_train", "seg_dev", "seg_eval"),
        ("train_images", "valid_images", "holdout_images"),
        ("pets-train", "pets-valid", "pets-test"),
    ],
)
def test_three_given_parts_are_kept(top, names):
    for name, count in zip(names, (5, 2, 3), strict=True):
        fill(top / name / "cat", top / name / "dog", count=count)
    domain, said = opened(top)
    assert domain.classes == ("cat", "dog") and sizes(domain) == (10, 4, 6)
    assert "Parts as given" in said and all(name in said for name in names)


@pytest.mark.parametrize("second", ["val", "test", "holdout"])
def test_of_two_parts_the_second_is_the_test(top, second):
    fill(top / "train" / "ants", top / "train" / "bees", count=10)
    fill(top / second / "ants", top / second / "bees", count=3)
    domain, said = opened(top)
    assert domain.classes == ("ants", "bees") and sizes(domain) == (16, 4, 6)
    assert f"test is {second}/; validation is taken out of training" in said
    given = {tuple(noise_of.flatten().tolist()) for noise_of in domain.images[domain.test]}
    assert len(given) == 6 and not given & {tuple(p.flatten().tolist()) for p in domain.images[domain.train]}


@pytest.mark.parametrize("around", ["flowers", "images", "data/raw/all", "train"])
def test_folders_too_many_are_looked_through(top, around):
    fill(top / around / "daisy", top / around / "rose")
    (top / "annotations").mkdir()
    domain, said = opened(top)
    assert domain.classes == ("daisy", "rose") and domain.name == "set"
    assert ("Only train/ is there" in said) == (around == "train")


@pytest.mark.parametrize("around, inside", [("images", ""), ("", "images"), ("a/b", "c/d"), ("", "{part}")])
def test_folders_too_many_around_and_inside_parts(top, around, inside):
    for part in ("train", "val"):
        place = top / around / part / inside.format(part=part)
        fill(place / "cat", place / "dog", count=5)
    assert opened(top)[0].classes == ("cat", "dog")


def test_parts_inside_classes(top):
    for name in ("cat", "dog"):
        fill(top / name / "train", count=6)
        fill(top / name / "test", count=2)
    domain, said = opened(top)
    assert domain.classes == ("cat", "dog") and sizes(domain) == (10, 2, 4) and "validation is taken" in said


@pytest.mark.parametrize(
    "pattern, classes",
    [("{part}_{name}", ("cat", "dog")), ("{name}-{part}", ("cat", "dog")), ("{part}{name}", ("A", "B"))],
)
def test_folders_named_after_part_and_class(top, pattern, classes):
    for part, count in (("train", 5), ("test", 2)):
        fill(*(top / pattern.format(part=part, name=name) for name in classes), count=count)
    domain, said = opened(top)
    assert domain.classes == classes and sizes(domain) == (8, 2, 4) and "validation is taken" in said


def test_two_things_that_sound_like_parts_are_classes(top):
    fill(top / "steam train", top / "test tube")
    assert opened(top)[0].classes == ("steam train", "test tube")


def test_classes_spelled_with_other_capitals_in_another_part_are_the_same(top):
    fill(top / "TRAIN" / "Cat", top / "TRAIN" / "DOG", top / "Val" / "cat", top / "Val" / "dog")
    assert opened(top)[0].classes == ("Cat", "DOG") and len(opened(top)[0].test) == 8


@pytest.mark.parametrize("beside", ["pred", "unlabelled", "seg_pred", "annotations", "val", "misc"])
def test_what_holds_no_classes_beside_parts_is_left_out_and_named(top, beside):
    for part in ("train", "test"):
        fill(top / part / "a", top / part / "b")
    fill(top / beside, count=7)
    domain, said = opened(top)
    assert domain.classes == ("a", "b") and len(domain.labels) == 16 and f"{beside}/ (7 pictures)" in said


def test_only_training_and_pictures_without_classes(top):
    """As ImageNet's val without folders: train divided by the lab, val named."""
    fill(top / "train" / "a", top / "train" / "b", count=6)
    fill(top / "val")
    domain, said = opened(top)
    assert domain.classes == ("a", "b") and len(domain.labels) == 12
    assert "val/ (4 pictures)" in said and "Only train/ is there" in said


def test_a_test_folder_whose_folders_are_no_classes_is_left_out(top):
    fill(top / "train" / "a", top / "train" / "b", count=6)
    fill(top / "test" / "unknown", top / "test" / "more")
    domain, said = opened(top)
    assert domain.classes == ("a", "b") and "test/ (8 pictures), whose folders are no classes" in said


def test_unlabelled_pictures_beside_classes_are_no_class(top):
    fill(top / "a", top / "b", top / "unlabelled", top / "pred")
    domain, said = opened(top)
    assert domain.classes == ("a", "b") and "unlabelled/ (4 pictures)" in said and "pred/" in said


def fill_masks(*places, of, ending="_mask"):
    """A black and white picture for each picture in the folder ``of``, named after it."""
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        for file in sorted(of.glob("*.png")):
            noise((40, 40)).convert("1").save(place / f"{file.stem}{ending}.png")


@pytest.mark.parametrize("name", ["masks", "mask", "Lung Masks", "segmentations", "ground_truth", "labels"])
@pytest.mark.parametrize("inside", ["images", "Images", "img", ""])
def test_masks_beside_the_pictures_of_a_class_are_left_out_and_named(top, name, inside):
    for kind in ("COVID", "Normal"):
        fill(top / kind / inside)
        fill_masks(top / kind / name, of=top / kind / inside, ending="")
    domain, said = opened(top)
    assert domain.classes == ("COVID", "Normal") and len(domain.labels) == 8
    assert f"COVID/{name}/, Normal/{name}/ (8 pictures)" in said and "masks or annotations" in said
    assert not any(name in file for file in domain.files)


def test_masks_above_and_below_parts_and_classes_are_left_out(top):
    for part in ("train", "test"):
        fill(top / "images" / part / "cat", top / "images" / part / "dog", count=5)
        for kind in ("cat", "dog"):
            fill_masks(top / "annotations" / part / kind, of=top / "images" / part / kind)
    domain, said = opened(top)
    assert (
        domain.classes == ("cat", "dog") and len(domain.labels) == 20 and "annotations/ (20 pictures)" in said
    )


def test_masks_among_classes_are_left_out_if_they_are_named_after_their_pictures(top):
    fill(top / "cat", top / "dog")
    for number, file in enumerate(sorted(top.glob("*/*.png"))):
        file.rename(file.with_name(f"IMG{number}.png"))
    for kind in ("cat", "dog"):
        fill_masks(top / "masks", of=top / kind)
    domain, said = opened(top)
    assert domain.classes == ("cat", "dog") and "masks/ (8 pictures)" in said
    fill(top / "carnival masks")
    (top / "carnival masks").rename(top / "Masks")
    assert opened(top)[0].classes == ("Masks", "cat", "dog"), "0.png to 3.png are no masks of IMG0 to IMG7"


@pytest.mark.parametrize(
    "names", [("mask", "no_mask"), ("incorrect", "mask", "no_mask"), ("label", "no label")]
)
def test_what_people_wear_is_a_class(top, names):
    fill(*(top / name for name in names))
    domain, said = opened(top)
    assert domain.classes == names and said == ""


def test_files_of_masks_among_the_pictures_are_left_out(top):
    fill(top / "benign", top / "malignant")
    for kind in ("benign", "malignant"):
        fill_masks(top / kind, of=top / kind)
    noise().save(top / "benign" / "death mask.png")
    domain, said = opened(top)
    assert len(domain.labels) == 9 and "0_mask.png and the like in benign/" in said and "(8 pictures)" in said


def test_images_and_masks_alone_are_no_classes(top):
    fill(top / "images")
    fill_masks(top / "masks", of=top / "images", ending="")
    with pytest.raises(DataError, match="(?s)single class, 'images'.*masks/ .4 pictures.*labels="):
        folder(top, 32)


def test_masks_are_classes_on_request(top):
    fill(top / "images", top / "masks")
    assert opened(top, parts=False)[0].classes == ("images", "masks")


def test_labelled_and_unlabelled_bottles_are_classes(top):
    fill(top / "labelled", top / "unlabelled")
    assert opened(top)[0].classes == ("labelled", "unlabelled")


@pytest.mark.parametrize("name", ["val", "test", "train"])
def test_one_class_named_like_a_part_is_a_class_and_said_to_be_one(top, name):
    fill(top / name, top / "dog", top / "cat")
    domain, said = opened(top)
    assert set(domain.classes) == {name, "dog", "cat"} and f"{name}/ is taken for a class" in said


def test_a_class_named_like_a_part_with_folders_inside(top):
    fill(top / "train" / "steam", top / "train" / "diesel", top / "car", top / "plane")
    assert opened(top)[0].classes == ("car", "plane", "train")


def test_two_parts_without_classes_beside_classes_are_refused_or_classes_on_request(top):
    fill(top / "train", top / "test", top / "cat", top / "dog")
    with pytest.raises(DataError, match="test, train without class folders beside cat, dog.*parts=False"):
        folder(top, 32)
    assert len(opened(top, parts=False)[0].classes) == 4


def test_parts_without_class_folders_are_refused(top):
    fill(top / "Train", top / "val")
    with pytest.raises(DataError, match="Train, val but no class folders inside.*labels="):
        folder(top, 32)


def test_folders_that_share_the_names_of_their_folders_are_asked_about(top):
    for name in ("first", "second"):
        fill(top / name / "cat", top / name / "dog", count=5)
    with pytest.raises(DataError, match="first, second .* all hold cat, dog.*parts=.*parts=False"):
        folder(top, 32)
    domain, _ = opened(top, parts={"train": "second", "test": ["first"]})
    assert domain.classes == ("cat", "dog") and sizes(domain) == (8, 2, 10)
    assert opened(top, parts=False)[0].classes == ("first", "second")


def test_an_unknown_name_beside_a_part_with_the_same_classes_is_the_training(top):
    fill(top / "apprentissage" / "a", top / "apprentissage" / "b", count=6)
    fill(top / "validation" / "a", top / "validation" / "b", count=3)
    domain, said = opened(top)
    assert domain.classes == ("a", "b") and len(domain.test) == 6 and "Training is apprentissage/" in said


@pytest.mark.parametrize(
    "parts, message",
    [
        ({"train": "nowhere"}, "'nowhere', which is not there"),
        ({"trains": "a"}, "no 'trains'"),
        ("all", "must be a mapping"),
        ({"test": "train"}, "Only train/"),
    ],
)
def test_wrong_parts_name_the_remedy(top, parts, message):
    fill(top / "train" / "a", top / "train" / "b")
    if message.startswith("Only"):
        assert message in opened(top, parts=parts)[1]
    else:
        with pytest.raises(DataError, match=message):
            folder(top, 32, parts=parts)


def test_validation_and_test_without_training_are_refused(top):
    for part in ("val", "test"):
        fill(top / part / "a", top / part / "b")
    with pytest.raises(DataError, match="nothing to train on.*parts=.test"):
        folder(top, 32)


def test_a_whole_folder_as_a_test(top):
    fill(top / "a", count=1)
    fill(top / "b", count=6)
    domain, _ = opened(top, parts="test")
    assert sizes(domain) == (0, 0, 7) and domain.only_test
    fill(top / "alone" / "a", count=2)
    assert opened(top / "alone", parts="test")[0].classes == ("a",), "one class is enough"


def test_a_test_is_not_trained_on(top, tiny_net):
    fill(top / "horizontal", top / "vertical")
    domain = opened(top, parts="test")[0]
    for train in (fit, lr_finder):
        with pytest.raises(ValueError, match="set is a test set as a whole: open other pictures"):
            train(tiny_net(), domain)
    assert len(evaluate(tiny_net(), domain).labels) == 8


def test_classes_missing_in_a_part_are_said_to_be(top):
    for part, names in (("train", "ab"), ("val", "a"), ("test", "abc")):
        for name in names:
            fill(top / part / name)
    domain, said = opened(top)
    assert domain.classes == ("a", "b", "c") and sizes(domain) == (8, 4, 12)
    assert "No picture of c is in train, so it can't be learned" in said
    assert "No picture of b, c is in validation" in said and "is in test" not in said


def test_a_class_of_one_training_picture_is_trained_on(top):
    fill(top / "train" / "a", top / "test" / "a", top / "test" / "b", count=9)
    fill(top / "train" / "b", count=1)
    domain, said = opened(top)
    assert domain.counts()[:2, 0].min() == 1 and "No picture of b is in validation" in said


def test_leftovers_of_systems_are_ignored_and_other_files_are_counted(top):
    fill(top / "a", top / "b")
    for junk in ("__MACOSX", ".ipynb_checkpoints", "@eaDir"):
        fill(top / junk / "x", top / "a" / junk)
    for junk in ("Thumbs.db", "desktop.ini", "._0.png", ".DS_Store"):
        (top / "a" / junk).write_bytes(b"x")
    assert opened(top)[1] == ""
    for name in ("x.heic", "y.heic", "z.txt"):
        (top / "a" / name).write_bytes(b"x")
    noise().save(top / "stray.png")
    domain, said = opened(top)
    assert len(domain.labels) == 8
    assert (
        "3 files that Pillow does not open (2 .heic, 1 .txt)" in said
        and "1 pictures beside the class" in said
    )


def test_empty_folders_are_named_unless_they_lie_among_parts(top):
    for part in ("train", "test"):
        fill(top / part / "a", top / part / "b")
    (top / "train" / "c").mkdir()
    (top / "val").mkdir()
    assert opened(top)[0].classes == ("a", "b")
    with pytest.raises(DataError, match="'c' has 0"):
        folder(top / "train", 32)


def test_linked_folders_are_followed_once_and_loops_end(top, tmp_path):
    fill(top / "a" / "real", top / "b", tmp_path / "elsewhere")
    (top / "a" / "again").symlink_to(top / "a" / "real")
    (top / "a" / "loop").symlink_to(top)
    (top / "a" / "self").symlink_to(top / "a" / "self")
    (top / "a" / "broken.png").symlink_to(tmp_path / "nowhere.png")
    (top / "b" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "up").symlink_to(tmp_path)
    (top / "c").symlink_to(tmp_path / "third")
    fill(tmp_path / "third")
    domain, said = opened(top)
    assert domain.labels.bincount().tolist() == [4, 8, 4]
    assert said == "Left out: 1 files that Pillow does not open (1 (a link to a picture that is not there))"


def test_names_of_any_script_and_form(top):
    fill(top / "train" / "Ka\u0308se", top / "train" / "魚 und mehr", count=5)
    fill(top / "test" / "K\u00e4se", top / "test" / "魚 und mehr", count=2)
    domain, _ = opened(top)
    assert domain.classes == ("K\u00e4se", "魚 und mehr") and len(domain.test) == 4


# ---- what belongs together


def parts_of(domain, keys) -> dict:
    found = {}
    for number, ids in enumerate((domain.train, domain.validation, domain.test)):
        for row in ids.tolist():
            found.setdefault(keys[row], set()).add(number)
    return found


@pytest.mark.parametrize(
    "rule", [r"^(p\d+)_", r"(p\d+)_\d+\.png$", lambda place: place.split("/")[1].split("_")[0], r"/(p\d+)_"]
)
def test_groups_stay_together_and_every_class_is_in_every_part(top, rule):
    keys = []
    for name in "ab":
        (top / name).mkdir(parents=True)
        for patient in range(8):
            for number in range(1 + patient % 3):
                noise().save(top / name / f"p{patient}_{number}.png")
                keys.append(f"p{patient}")
    domain, said = opened(top, groups=rule)
    assert all(len(parts) == 1 for parts in parts_of(domain, keys).values())
    assert domain.counts().min() >= 1 and "8 groups" in said


@pytest.mark.parametrize(
    "groups, message",
    [
        ("p", "needs a group in brackets"),
        ("(", "no regular expression"),
        (r"(q\d)", "does not fit 8 of 8 files, such as a/"),
    ],
)
def test_wrong_groups_name_the_remedy(top, groups, message):
    fill(top / "a", top / "b")
    with pytest.raises(DataError, match=message):
        folder(top, 32, groups=groups)


def test_too_few_groups_are_refused(top):
    fill(top / "a", top / "b")
    with pytest.warns(UserWarning), pytest.raises(DataError, match="everything belongs to 2 groups"):
        folder(top, 32, groups=r"/?(a|b)/")


def test_groups_that_given_parts_tear_apart_are_reported(top):
    for part in ("train", "test"):
        fill(top / part / "a", top / part / "b", count=6)
    domain, said = opened(top, groups=r"(\d)\.png")
    assert "tear 6 groups apart" in said and torch.equal(domain.test, domain.test.sort().values)


def test_what_a_link_does_not_lead_to_is_counted(top, tmp_path):
    """As git-annex, DVC or a disk that is not mounted leave them."""
    fill(top / "a", top / "b")
    for number in range(20):
        (top / "a" / f"missing{number}.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (top / "c").symlink_to(top / "a")
    domain, said = opened(top)
    assert domain.classes == ("a", "b") and "20 (a link to a picture that is not there)" in said
    assert "links to folders that are here already: c" in said


@pytest.mark.parametrize("parts", [("",), ("train", "test")], ids=["flat", "parts"])
def test_a_class_whose_files_are_not_opened_is_named(top, parts):
    for part in parts:
        fill(top / part / "a", top / part / "b")
        (top / part / "c").mkdir()
        for number in range(8):
            (top / part / "c" / f"{number}.heic").touch()
    domain, said = opened(top)
    assert domain.classes == ("a", "b") and "8 .heic, which Pillow does not open" in said
