"""The graph answers as the classifier does, for pictures of any size, with and without torch."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers import changed, snapshot, with_statistics
from PIL import Image

from labutils.data.decoding import square
from labutils.deploy import pack, run_onnx, to_onnx
from labutils.deploy.onnx import scaled
from labutils.deploy.pictures import to_grey

TOLERANCE = 1e-5  # of a probability
EXAMPLE = Path(__file__).parents[2] / "docs" / "onnx_example.py"


@pytest.fixture
def graph(classifier, tmp_path):
    return to_onnx(classifier, tmp_path / "network.onnx")


@pytest.mark.parametrize("size", [(32, 32), (31, 45), (40, 400), (200, 120), (120, 200), (333, 100), (1, 7)])
@pytest.mark.parametrize("side", [32, 75])
@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_scaling_equals_pillow_to_the_last_bit(size, side, fit):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    expected = square(Image.fromarray(pixels), side, fit)
    assert torch.equal(scaled(torch.from_numpy(pixels)[None], side, fit)[0], expected)


def test_grey_equals_pillow():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(pixels).convert("L"))
    assert np.array_equal(to_grey(torch.from_numpy(pixels).permute(2, 0, 1))[0], expected)


def test_any_number_of_pictures(classifier, graph, tiny_domain):
    for images in (tiny_domain.images[:1], tiny_domain.images[:7], tiny_domain.images):
        gap = (classifier.probabilities(images) - run_onnx(graph, images)).abs().max()
        assert gap < TOLERANCE


def test_any_size_of_grey_pictures_and_whether_familiar(
    tiny_net, tiny_domain, photograph, tmp_path, monkeypatch
):
    monkeypatch.setattr("labutils.deploy.novelty.FEWEST", 5)
    grey = replace(tiny_domain, images=tiny_domain.images[:, :1])
    packed = pack(with_statistics(tiny_net(), tiny_domain.images[:16]), grey)
    packed.preparation = replace(packed.preparation, fit="pad")
    session = onnxruntime.InferenceSession(to_onnx(packed, tmp_path / "g.onnx"))
    for picture in (photograph(70, 40), photograph(32, 32), photograph(20, 100), Image.new("RGB", (50, 50))):
        probabilities, unfamiliar = session.run(None, {"images": np.asarray(picture)[None]})
        row = packed.predict(picture).iloc[0]
        assert abs(probabilities.max() - row["probability"]) < TOLERANCE
        assert unfamiliar[0] == row["unfamiliar"]


def test_one_file_holds_names_and_preparation(classifier, graph):
    onnx.checker.check_model(graph, full_check=True)
    model = onnx.load(graph)
    metadata = {prop.key: prop.value for prop in model.metadata_props}
    assert json.loads(metadata["classes"]) == list(classifier.classes)
    assert json.loads(metadata["preparation"])["image_size"] == 32 and "EXIF" in metadata["decoding"]
    assert not list(graph.parent.glob("*.data"))


def test_wrong_type_rank_and_channels_are_refused(graph):
    session = onnxruntime.InferenceSession(graph)
    for images, message in (
        (np.zeros((1, 8, 8, 3), "float32"), "data type"),
        (np.zeros((8, 8, 3), "uint8"), "rank"),
        (np.zeros((1, 8, 8, 4), "uint8"), "dimensions"),
    ):
        with pytest.raises(Exception, match=message):
            session.run(None, {"images": images})


def test_exporting_changes_nothing(classifier, tmp_path):
    before = snapshot(classifier)
    to_onnx(classifier, tmp_path / "network.onnx")
    assert changed(before, classifier) == set()


def pictures(photograph, folder):
    """Sizes, modes and a turned one, as a disk has them."""
    photograph(300, 200).save(folder / "large.jpg")
    photograph(20, 90).convert("RGBA").save(folder / "tall.png")
    photograph(33, 32).convert("P").save(folder / "palette.gif")
    photograph(50, 70).convert("L").save(folder / "grey.bmp")
    photograph(50, 70).convert("CMYK").save(folder / "print.tif")
    Image.fromarray(np.asarray(photograph(40, 60).convert("L")).astype("uint16") * 16).save(folder / "12.tif")
    clear = photograph(64, 40).convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    clear.save(folder / "clear.png")
    Image.fromarray(np.asarray(photograph(40, 60).convert("L")).astype("uint16") * 257).save(
        folder / "16.png"
    )
    turned = Image.Exif()
    turned[0x0112] = 6
    photograph(80, 40).save(folder / "turned.jpg", exif=turned)


@pytest.mark.slow
def test_the_example_needs_no_torch(classifier, graph, photograph, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    pictures(photograph, folder)
    table = classifier.predict(folder, top=3).set_index("file")
    without = f"import sys; sys.modules['torch'] = None; import runpy; runpy.run_path({str(EXAMPLE)!r})"
    for file, row in table.iterrows():
        done = subprocess.run(
            [sys.executable, "-c", without, str(graph), file], capture_output=True, text=True, check=True
        )
        answers = dict(line.split("\t") for line in done.stdout.splitlines() if "\t" in line)
        for place in ("", " 2", " 3"):
            assert abs(float(answers[row[f"class{place}"]]) - row[f"probability{place}"]) < 1e-4, file
