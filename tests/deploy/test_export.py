"""What is exported answers as the network in PyTorch does, and knows what it needs to know."""

import json

import onnx
import pytest
import torch
from helpers import changed, snapshot, with_statistics
from safetensors.torch import save_file

from labutils import build_feature_extractor
from labutils.deploy.export import Packed, largest_gap, load_weights, pack, run_onnx, save_weights, to_onnx

TOLERANCE = 1e-5  # of a probability


@pytest.fixture
def packed(tiny_net, tiny_domain):
    model = with_statistics(tiny_net(dropout=0.5), tiny_domain.images[:16])
    return pack(model, tiny_domain, temperature=2.5)


@pytest.fixture
def written(packed, tmp_path):
    return to_onnx(packed, tmp_path / "network.onnx")


def test_probabilities_are_those_of_the_model(packed, tiny_domain):
    images, model = tiny_domain.images[:40], packed.model
    model.eval()
    with torch.no_grad():
        expected = (model(model.normalise(images.float() / 255)) / 2.5).softmax(1)
    model.train()
    found = packed.predict(images)  # in parts, with dropout off
    torch.testing.assert_close(found, expected)
    assert model.training, "modes are as before"


def test_safetensors_come_back_to_the_last_bit(packed, tiny_domain, tmp_path):
    path = save_weights(packed, tmp_path / "network.safetensors")
    again = load_weights(path)
    assert changed(snapshot(packed.model), again.model) == set()
    assert (again.classes, again.image_size, again.channels) == (tiny_domain.classes, 32, 3)
    assert again.temperature == 2.5 and again.model.backbone == "tiny"
    assert torch.equal(again.predict(tiny_domain.images), packed.predict(tiny_domain.images))
    again.train()
    before = snapshot(again)
    again(tiny_domain.images[:4])
    assert changed(before, again) == set(), "its BatchNorm stands still"


@pytest.mark.slow
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_a_real_network_comes_back_whatever_order_it_was_trained_in(order, tmp_path):
    model = build_feature_extractor().to(memory_format=order)
    images = torch.randint(256, (6, 1, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    packed = Packed(model, "ab", 64, channels=1)
    again = load_weights(save_weights(packed, tmp_path / "network.safetensors"))
    assert torch.equal(again.predict(images), packed.predict(images))


def test_foreign_and_broken_files_are_told(tmp_path):
    foreign, broken = tmp_path / "foreign.safetensors", tmp_path / "broken.safetensors"
    save_file({"a": torch.zeros(1)}, foreign)
    broken.write_bytes(foreign.read_bytes()[:20])
    with pytest.raises(ValueError, match="not written by save_weights"):
        load_weights(foreign)
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_weights(broken)


def test_onnx_agrees_for_any_number_of_pictures(packed, written, tiny_domain):
    for images in (tiny_domain.images[:1], tiny_domain.images[:7], tiny_domain.images):
        assert largest_gap(packed.predict(images), run_onnx(written, images)) < TOLERANCE


def test_onnx_holds_dropout_off_temperature_and_names(packed, written):
    onnx.checker.check_model(written, full_check=True)
    graph = onnx.load(written)
    told = {prop.key: prop.value for prop in graph.metadata_props}
    assert json.loads(told["classes"]) == list(packed.classes)
    assert [each.name for each in graph.graph.input] == ["images"]
    assert [each.name for each in graph.graph.output] == ["probabilities"]
    assert graph.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert not list(written.parent.glob("*.data")), "one file holds all"


def test_onnx_of_grey_pictures(tiny_net, tiny_domain, tmp_path):
    model = with_statistics(tiny_net(), tiny_domain.images[:16])
    packed = Packed(model, "abc", 32, channels=1)
    grey = tiny_domain.images[:5, :1]
    assert largest_gap(packed.predict(grey), run_onnx(to_onnx(packed, tmp_path / "g.onnx"), grey)) < TOLERANCE


def test_exporting_changes_nothing(packed, tmp_path):
    packed.train()
    before, modes = snapshot(packed), [part.training for part in packed.modules()]
    to_onnx(packed, tmp_path / "network.onnx")
    save_weights(packed, tmp_path / "network.safetensors")
    assert changed(before, packed) == set()
    assert [part.training for part in packed.modules()] == modes


def test_a_failed_export_leaves_the_older_file(packed, tmp_path, monkeypatch):
    path = save_weights(packed, tmp_path / "network.safetensors")
    old = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        save_weights(packed, path)
    assert path.read_bytes() == old


def test_largest_gap():
    assert largest_gap(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]])) == 0.25


@pytest.mark.parametrize(
    "options, message",
    [({"classes": ("a", "b")}, "2 names for 3 outputs"), ({"classes": "abc", "temperature": 0}, "above 0")],
)
def test_what_does_not_fit(tiny_net, options, message):
    with pytest.raises(ValueError, match=message):
        Packed(tiny_net(), image_size=32, **options)
