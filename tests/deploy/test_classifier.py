"""A finished classifier takes pictures in every form, prepared as the training pictures were."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import changed, snapshot, with_statistics
from PIL import Image, ImageSequence

import labutils as lab
from labutils.data.decoding import read_picture
from labutils.deploy import pack


def test_probabilities_are_those_of_the_network(trained, classifier, tiny_domain):
    images = tiny_domain.images[:40]  # in two parts, with dropout off
    trained.eval()
    with torch.no_grad():
        expected = (trained(trained.normalise(images.float() / 255)) / 2.5).softmax(1)
    torch.testing.assert_close(classifier.probabilities(images), expected)


def test_pictures_of_a_domain_are_not_prepared_again(classifier, tiny_domain):
    images = tiny_domain.images[:5]
    table = classifier.predict(images, top=3)
    best = classifier.probabilities(images).topk(3)
    assert torch.equal(torch.tensor(table["probability"].to_numpy(), dtype=torch.float32), best.values[:, 0])
    assert table["class 2"].tolist() == [tiny_domain.classes[i] for i in best.indices[:, 1]]


def test_packing_leaves_the_network_alone(trained, tiny_domain):
    trained.train()
    before, modes = snapshot(trained), [part.training for part in trained.modules()]
    pack(trained, tiny_domain).predict(tiny_domain.images[0])
    assert changed(before, trained) == set()
    assert [part.training for part in trained.modules()] == modes
    assert any(parameter.requires_grad for parameter in trained.parameters())


def test_one_picture_in_every_form(classifier, photograph, tmp_path):
    picture = photograph(70, 45)
    array = np.asarray(picture)
    picture.save(tmp_path / "a.png")
    tensor = torch.from_numpy(array.copy())
    forms = {
        "path": tmp_path / "a.png",
        "text": str(tmp_path / "a.png"),
        "folder": tmp_path,
        "PIL": picture,
        "RGBA": picture.convert("RGBA"),
        "HWC": array,
        "NHWC": array[None],
        "CHW": array.transpose(2, 0, 1),
        "floats": array / 255,
        "tensor": tensor,
        "tensor CHW": tensor.permute(2, 0, 1),
        "tensor NCHW floats": tensor.permute(2, 0, 1)[None].float() / 255,
        "list": [[picture]],
        "generator": (each for each in [picture]),
    }
    rows = {name: classifier.predict(form, top=3).drop(columns="file") for name, form in forms.items()}
    assert all(len(row) == 1 for row in rows.values())
    assert [name for name, row in rows.items() if not row.equals(rows["path"])] == []


def test_grey_and_many(classifier, photograph):
    grey = photograph(40, 50).convert("L")
    array = np.asarray(grey)
    forms = (grey, array, array[..., None], array[None, ..., None], torch.from_numpy(array[None] / 255.0))
    rows = [classifier.predict(form).drop(columns="file") for form in forms]
    assert all(row.equals(rows[0]) for row in rows)
    assert len(classifier.predict([grey, np.stack([array, array])[..., None], array > 128])) == 4


def test_the_order_of_channels_where_the_shape_allows_two(classifier, photograph):
    square = np.asarray(photograph(3, 3))
    assert classifier.predict(square).equals(
        classifier.predict(torch.from_numpy(square.transpose(2, 0, 1).copy()))
    )


def test_a_file_is_read_as_for_training(classifier, photograph, tmp_path):
    file = tmp_path / "large.jpg"
    photograph(500, 300).save(file)
    expected = classifier.probabilities(read_picture(file, classifier.preparation)[None])
    assert classifier.predict(file)["probability"].item() == float(expected.max())


def test_a_network_of_grey_pictures_sees_grey(tiny_net, tiny_domain, photograph):
    grey = replace(tiny_domain, images=tiny_domain.images[:, :1])
    packed = pack(with_statistics(tiny_net(), tiny_domain.images[:16]), grey)
    colour = photograph(32, 32)
    assert packed.predict(colour).equals(packed.predict(colour.convert("L")))
    assert packed.probabilities(grey.images).shape == (48, 3)


def test_a_folder_with_files_that_cannot_be_read(classifier, photograph, tmp_path):
    (tmp_path / "deep").mkdir()
    photograph(40, 40).save(tmp_path / "deep" / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("not asked about")
    (tmp_path / ".hidden.png").write_bytes(b"")
    table = classifier.predict(tmp_path)
    assert [str(tmp_path / name) for name in ("b.jpg", "deep/a.png")] == table["file"].tolist()
    assert table["class"].isna().tolist() == [True, False]
    assert "not a picture" in table["note"][0] and table["note"][1] == ""
    assert classifier.predict(tmp_path / "b.jpg")["probability"].isna().all(), "also when none can"


BAD = {
    "floats up to 255": (np.full((4, 4, 3), 200.0), "divide by 255"),
    "normalised": (torch.full((3, 4, 4), -0.5), "before its mean was taken away"),
    "NaN": (np.full((4, 4), np.nan), "NaN or infinite"),
    "two channels": (np.zeros((2, 8, 8), "uint8"), "1, 3 or 4 channels"),
    "five axes": (np.zeros((1, 1, 8, 8, 3), "uint8"), "1, 3 or 4 channels"),
    "whole numbers": (np.zeros((8, 8, 3), "int64"), "astype"),
    "16-bit colour": (np.zeros((8, 8, 3), "uint16"), "65535"),
    "no pixels": (np.zeros((0, 8, 3), "uint8"), "shape"),
    "no pictures": ([], "empty"),
    "bytes": (b"\x89PNG", "PIL.Image.open"),
    "a number": (3, "is not a picture"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_understood_is_refused_with_the_remedy(kind, classifier):
    what, message = BAD[kind]
    with pytest.raises((ValueError, TypeError), match=message):
        classifier.predict(what)


def test_wrong_places(classifier, tmp_path):
    with pytest.raises(FileNotFoundError, match="check the spelling"):
        classifier.predict([tmp_path / "none.jpg"])
    with pytest.raises(ValueError, match="holds no pictures"):
        classifier.predict(tmp_path)
    with pytest.raises(ValueError, match="use 1 to 3"):
        classifier.predict(Image.new("RGB", (9, 9)), top=4)
    with pytest.raises(ValueError, match="give others to predict"):
        classifier.probabilities(torch.zeros(1, 3, 40, 32, dtype=torch.uint8))


def test_few_pictures_without_a_mistake_make_nothing_certain(trained, tiny_domain):
    lab.fit(trained, tiny_domain, lab.Settings(epochs=20, base_lr=0.1))
    assert pack(trained, tiny_domain).temperature >= 1


def test_names_that_do_not_fit(trained, tiny_domain):
    with pytest.raises(ValueError, match="temperature=0.*above 0"):
        pack(trained, tiny_domain, temperature=0)
    trained.head = torch.nn.Linear(16, 5)
    with pytest.raises(ValueError, match="3 names for 5 outputs"):
        pack(trained, tiny_domain)


def test_one_object_given_many_times_is_answered_as_once(classifier, tmp_path):
    file = tmp_path / "large.jpg"
    Image.effect_noise((600, 600), 90).convert("RGB").save(file)
    table = classifier.predict([Image.open(file)] + [shared := Image.open(file)] * 11)
    assert shared is not None and table["probability"].nunique() == 1 and (table["note"] == "").all()


def test_frames_are_answered_one_by_one(classifier, tmp_path):
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "stack.tif", save_all=True, append_images=frames[1:])
    seen = classifier.predict(ImageSequence.Iterator(Image.open(tmp_path / "stack.tif")))
    assert np.allclose(seen["probability"], classifier.predict(frames)["probability"])


def test_paths_in_an_array_are_paths(classifier, tmp_path):
    Image.new("RGB", (32, 32), "red").save(tmp_path / "a.png")
    assert len(classifier.predict(np.array([str(tmp_path / "a.png")] * 2))) == 2


@pytest.mark.parametrize(
    "what", ["", pd.DataFrame({"file": ["a.png"]}), bytearray(b"x")], ids=["empty", "table", "bytes"]
)
def test_what_is_not_a_picture_is_refused(classifier, what):
    with pytest.raises(TypeError, match="is not a picture"):
        classifier.predict(what)


def test_an_address_is_not_a_file(classifier):
    with pytest.raises(FileNotFoundError, match="download the picture first"):
        classifier.predict("https://example.org/a.jpg")
