"""One's own pictures: every mode comes out right, every mistake is named with its remedy."""

import os

import numpy
import pytest
import torch
from PIL import Image

from labutils.data import DataError, folder


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def pets(tmp_path):
    """Two classes of five grey-level pictures each: cats are dark, dogs are bright."""
    for name, level in (("cats", 50), ("dogs", 200)):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for index in range(5):
            Image.new("RGB", (60, 40), (level, level, level + index)).save(
                tmp_path / "pets" / name / f"{index}.png"
            )
    return tmp_path / "pets"


def picture_read(pets, name, picture, **how):
    """Save one more cat, alphabetically first, and give back how it was read."""
    picture.save(pets / "cats" / name, **how)
    return folder(pets, image_size=32).images[0]


def test_class_folders_become_a_domain(pets):
    domain = folder(pets, image_size=32)
    assert domain.classes == ("cats", "dogs") and domain.name == "pets" and str(pets) in domain.source
    assert domain.images.shape == (10, 3, 32, 32)
    assert domain.images[:, :, 9, 9].tolist() == [
        [level, level, level + i] for level in (50, 200) for i in range(5)
    ]
    assert [len(part) for part in (domain.train, domain.validation, domain.test)] == [6, 2, 2]


def test_endings_in_any_case_nested_files_count_and_hidden_or_other_files_do_not(pets):
    red = Image.new("RGB", (40, 40), (250, 0, 0))
    (pets / "cats" / "more" / "again").mkdir(parents=True)
    (pets / "cats" / ".hidden").mkdir()
    (pets / ".git").mkdir()
    for name in ("a.JPG", "b.jpeg", "c.Bmp", "d.gif", "e.tif", "f.TIFF", "g.webp", "more/again/h.PNG"):
        red.save(pets / "cats" / name)
    for name in (".i.png", ".hidden/j.png"):
        red.save(pets / "cats" / name)
    (pets / "cats" / "notes.txt").write_text("not a picture")
    domain = folder(pets, image_size=32)
    assert domain.labels.bincount().tolist() == [13, 5]
    assert (domain.images[:, 0, 9, 9] >= 240).sum() == 8


def test_pictures_stand_in_the_order_of_their_paths_folder_by_folder(pets):
    names = ["#/b.png", "#/b/c.png", "#-1.png", "#.png", "#a.png"]  # "-" and "." come before "/"
    for level, name in enumerate(names):
        (pets / "cats" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (40, 40), level).save(pets / "cats" / name)
    assert sorted(map(pets.joinpath, names)) != sorted(map(pets.joinpath, names), key=str)
    paths = sorted((pets / "cats" / name) for name in names)
    assert folder(pets, image_size=32).images[:5, 0, 9, 9].tolist() == [
        names.index(path.relative_to(pets / "cats").as_posix()) for path in paths
    ]


# ---- every mode


def test_a_grey_picture_gets_three_equal_channels(pets):
    assert picture_read(pets, "#.png", Image.new("L", (40, 40), 77)).unique().tolist() == [77]


def test_sixteen_bits_are_scaled_and_not_clipped(pets):
    ramp = numpy.linspace(0, 65535, 40 * 40).astype(numpy.uint16).reshape(40, 40)
    read = picture_read(pets, "#.png", Image.fromarray(ramp)).float()
    assert read.min() < 8 and read.max() > 247 and read.mean() == pytest.approx(127.5, abs=1)


def test_what_is_transparent_becomes_white(pets):
    see_through = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    assert picture_read(pets, "#.png", see_through).unique().tolist() == [255]
    half = Image.new("RGBA", (40, 40), (0, 0, 0, 128))
    assert picture_read(pets, "#.png", half).unique().tolist() == [127]


def test_a_palette_is_looked_up_and_its_transparent_colour_becomes_white(pets):
    palette = Image.new("P", (40, 40), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert picture_read(pets, "#.png", palette)[:, 9, 9].tolist() == [10, 20, 30]
    assert picture_read(pets, "#.png", palette, transparency=1)[:, 9, 9].tolist() == [255] * 3


def test_cmyk_becomes_red_green_blue(pets):
    cyan = Image.new("CMYK", (40, 40), (255, 0, 0, 0))
    red, green, blue = picture_read(pets, "#.jpg", cyan)[:, 9, 9].tolist()
    assert red < 10 and green > 160 and blue > 220


def test_a_camera_held_upright_gives_an_upright_picture(pets):
    picture = Image.new("RGB", (40, 40), "white")
    picture.paste("black", (0, 0, 20, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright: what was left comes on top
    read = picture_read(pets, "#.jpg", picture, exif=exif)[0].float()
    assert read[:14].mean() < 10 and read[18:].mean() > 245


def test_the_centre_is_kept_and_thin_stripes_do_not_alias(pets):
    stripes = numpy.zeros((320, 640, 3), numpy.uint8)
    stripes[:, 160:480:2] = 255
    stripes[:, :160] = (255, 0, 0)
    read = picture_read(pets, "#.png", Image.fromarray(stripes)).float()
    assert (read[:, :, 2:-2] - 127.5).abs().max() < 3, "stripes finer than a pixel must become even grey"


# ---- mistakes


def test_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder .*nowhere: check the spelling"):
        folder(tmp_path / "nowhere")


def test_a_file_is_no_folder(pets):
    with pytest.raises(DataError, match="is a file"):
        folder(pets / "cats" / "0.png")


def test_pictures_without_class_folders_show_the_layout(pets):
    with pytest.raises(DataError, match="no class folders.*\n.*cats/cats/first.jpg"):
        folder(pets / "cats")


def test_a_single_class(pets):
    (pets / "dogs").rename(pets.parent / "dogs")
    with pytest.raises(DataError, match="single class, 'cats'"):
        folder(pets)


@pytest.mark.parametrize("left", [0, 2])
def test_a_class_too_small_to_split_is_named_with_its_count(pets, left):
    for file in sorted((pets / "dogs").iterdir())[left:]:
        file.unlink()
    with pytest.raises(DataError, match=f"at least 3 pictures.*'dogs' has {left}"):
        folder(pets)


def test_three_pictures_per_class_are_enough(pets):
    for name in ("cats", "dogs"):
        for index in (3, 4):
            (pets / name / f"{index}.png").unlink()
    domain = folder(pets, image_size=32)
    assert [len(part) for part in (domain.train, domain.validation, domain.test)] == [2, 2, 2]


def test_an_image_size_out_of_range(pets):
    with pytest.raises(DataError, match="from 32 to 512"):
        folder(pets, image_size=1024)


def damage(pets, count):
    for index in range(count):
        file = pets / "cats" / f"bad{index:02}.png"
        file.write_bytes((pets / "cats" / "0.png").read_bytes()[:60] if index else b"not a picture at all")


def test_unreadable_pictures_are_named_up_to_ten_with_the_remedy(pets):
    damage(pets, 12)
    with pytest.raises(
        DataError, match="12 of 22 .*bad00.png .not a picture.*bad09.*and 2 more.*skip_unreadable=True"
    ) as caught:
        folder(pets, image_size=32)
    assert "bad10" not in str(caught.value)


def test_unreadable_pictures_are_skipped_only_on_request_and_with_a_warning_each_time(pets):
    damage(pets, 2)
    for _ in range(2):
        with pytest.warns(UserWarning, match="2 of 12 .*cats/bad00.png.*cats/bad01.png.*left out") as caught:
            domain = folder(pets, image_size=32, skip_unreadable=True)
        assert caught[0].filename == __file__
        assert domain.labels.bincount().tolist() == [5, 5]
    with pytest.raises(DataError, match="could not be read"):
        folder(pets, image_size=32)


def test_a_class_left_too_small_by_skipping_is_named(pets):
    for file in sorted((pets / "dogs").iterdir())[2:]:
        file.write_bytes(b"broken")
    with pytest.warns(UserWarning), pytest.raises(DataError, match="'dogs' has 2 pictures"):
        folder(pets, image_size=32, skip_unreadable=True)


# ---- decoding once


def test_the_folder_is_decoded_once_until_a_file_changes(pets, data_folder, monkeypatch):
    cat = pets / "cats" / "#.bmp"
    Image.new("RGB", (40, 40), (9, 9, 9)).save(cat)
    first = folder(pets, image_size=32)
    kept = list((data_folder / "domains").iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", None)
        again = folder(pets, image_size=32, seed=1)
    assert torch.equal(first.images, again.images) and not torch.equal(first.train, again.train)
    Image.new("RGB", (40, 40), (1, 2, 3)).save(cat)  # as many bytes as before: only the time tells
    os.utime(cat, (1, 1))
    assert folder(pets, image_size=32).images[0, :, 9, 9].tolist() == [1, 2, 3]
    assert list((data_folder / "domains").iterdir()) == kept, "the stale file is replaced, not left behind"


def test_a_large_photograph_is_read_the_same_as_a_small_one(pets):
    """Large JPEGs are decoded at a fraction of their size; what comes out must hardly differ."""
    ramp = numpy.tile(numpy.linspace(0, 255, 1600).astype(numpy.uint8), (1200, 1))
    read = picture_read(pets, "#.jpg", Image.fromarray(ramp)).float()
    middle = 255 * (200 + 37.5 * (torch.arange(32) + 0.5)) / 1600
    assert (read - middle).abs().max() < 3
