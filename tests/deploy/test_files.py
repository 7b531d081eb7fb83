"""A saved classifier answers as it did, whatever its head is made of, and says what is wrong with a file."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import CLASSES, changed, snapshot, with_statistics
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

import labutils as lab
from labutils.deploy import open_classifier, pack, save, save_classifier
from labutils.runtime.files import PROJECT

HEADS = {
    "linear": nn.Linear(16, CLASSES),
    "hidden layer": nn.Sequential(
        nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True), nn.Dropout(0.3), nn.Linear(8, CLASSES)
    ),
    "nested": nn.Sequential(
        nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 8, bias=False)), nn.GELU("tanh"), nn.Linear(8, CLASSES)
    ),
}


class OwnHead(nn.Module):
    def __init__(self, inside: int = 6):
        super().__init__()
        self.one, self.other = nn.Linear(16, inside), nn.Linear(inside, CLASSES)

    def forward(self, features):
        return self.other(self.one(features).sin())


@pytest.fixture
def own_head(trained):
    trained.head = OwnHead()
    return trained


def test_it_comes_back_to_the_last_bit(classifier, tiny_domain, tmp_path):
    again = open_classifier(save_classifier(classifier, tmp_path / "network.safetensors"))
    assert changed(snapshot(classifier), again) == set()
    assert again.classes == again.model.classes == tiny_domain.classes
    assert again.preparation == classifier.preparation and again.temperature == 2.5
    assert again.model.backbone == "tiny" and again.model.mean == (0.5,) * 3
    assert torch.equal(again.probabilities(tiny_domain.images), classifier.probabilities(tiny_domain.images))
    assert not any(parameter.requires_grad for parameter in again.parameters())
    again.train()
    before = snapshot(again)
    again.predict(list(tiny_domain.images[:4]))
    assert changed(before, again) == set(), "its BatchNorm stands still"


@pytest.mark.parametrize("kind", HEADS)
def test_any_head_of_standard_layers(kind, trained, tiny_domain, tmp_path):
    trained.head = HEADS[kind]
    expected = pack(trained, tiny_domain).predict(list(tiny_domain.images[:9]), top=3)
    found = open_classifier(save(trained, tiny_domain, tmp_path / "a.safetensors"))
    assert repr(found.model.head) == repr(trained.head)
    assert found.predict(list(tiny_domain.images[:9]), top=3).equals(expected)


def test_a_head_of_ones_own_has_to_be_given(own_head, tiny_domain, tmp_path):
    expected = pack(own_head, tiny_domain).probabilities(tiny_domain.images)
    path = save(own_head, tiny_domain, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"module of one's own, OwnHead.*head=OwnHead"):
        open_classifier(path)
    assert torch.equal(open_classifier(path, head=OwnHead()).probabilities(tiny_domain.images), expected)
    with pytest.raises(ValueError, match="do not fit"):
        open_classifier(path, head=OwnHead(7))


def test_adapters_are_merged_and_the_network_stays_as_it_was(trained, tiny_domain, tmp_path):
    lab.add_adapters(trained)
    with torch.no_grad():
        for name, weights in trained.named_parameters():
            if "lora_B" in name:
                weights.normal_()
    before, names = snapshot(trained), [name for name, _ in trained.named_modules()]
    expected = lab.evaluate(trained, tiny_domain).logits.softmax(1)
    packed = pack(trained, tiny_domain, temperature=1.0)
    found = open_classifier(save_classifier(packed, tmp_path / "a.safetensors"))
    assert changed(before, trained) == set() and names == [name for name, _ in trained.named_modules()]
    assert not any("lora" in name for name in load_file(tmp_path / "a.safetensors"))
    torch.testing.assert_close(found.probabilities(tiny_domain.images[tiny_domain.test]), expected)


@pytest.mark.slow
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_a_real_network_comes_back_whatever_order_it_was_trained_in(order, tiny_domain, tmp_path):
    model = lab.build_feature_extractor(num_classes=CLASSES).to(memory_format=order)
    packed = pack(model, tiny_domain)
    again = open_classifier(save_classifier(packed, tmp_path / "network.safetensors"))
    assert torch.equal(again.probabilities(tiny_domain.images), packed.probabilities(tiny_domain.images))


@pytest.mark.slow
def test_another_process_gives_the_same_answers(tiny_domain, tmp_path, photograph):
    model = with_statistics(lab.build_feature_extractor(num_classes=CLASSES), tiny_domain.images[:8])
    path = save(model, tiny_domain, tmp_path / "network.safetensors")
    photograph(90, 60).save(tmp_path / "one.jpg")
    photograph(40, 130, seed=1).convert("RGBA").save(tmp_path / "two.png")
    code = (
        f"import torch, labutils as lab; torch.set_num_threads(1); c = lab.open_classifier({str(path)!r}); "
        f"print(c.predict({str(tmp_path)!r}, top=3).to_json(double_precision=15))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    assert done.stdout.strip() == open_classifier(path).predict(tmp_path, top=3).to_json(double_precision=15)


def test_fit_and_depth_are_those_of_the_training(trained, tiny_domain, tmp_path):
    domain = replace(tiny_domain, fit="pad", scale=(0.0, 4095.0))
    found = open_classifier(save(trained, domain, tmp_path / "a.safetensors"))
    expected = pack(trained, domain)
    assert found.preparation == expected.preparation and found.preparation.scale == (0.0, 4095.0)
    strip = np.zeros((20, 90), "uint16")
    strip[:, 45:] = 3000
    assert found.predict(strip).equals(expected.predict(strip))
    pixels = found.preparation(Image.fromarray(strip))
    assert pixels.max() == 187 and (pixels[:, 0] == 128).all(), "3000 of 4095, and grey above"


def test_a_test_set_is_no_training_set(trained, tiny_domain, tmp_path):
    empty = tiny_domain.train[:0]
    alone = replace(tiny_domain, train=empty, validation=empty)
    with pytest.raises(ValueError, match="give the pictures that the network was trained on"):
        save(trained, alone, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="no validation pictures"):
        lab.evaluate(trained, alone, "validation")
    assert len(lab.evaluate(trained, alone).labels) == 9


def test_names_are_those_of_the_network(trained, tiny_domain, tmp_path):
    trained.classes = tiny_domain.classes[::-1]  # it learned them in another order
    found = open_classifier(save(trained, tiny_domain, tmp_path / "a.safetensors"))
    assert found.classes == tiny_domain.classes[::-1]


def test_foreign_and_broken_files(tmp_path):
    foreign, broken = tmp_path / "foreign.safetensors", tmp_path / "broken.safetensors"
    save_file({"a": torch.zeros(1)}, foreign)
    broken.write_bytes(foreign.read_bytes()[:20])
    with pytest.raises(ValueError, match="not written by labutils.save"):
        open_classifier(foreign)
    with pytest.raises(ValueError, match="not a complete safetensors file"):
        open_classifier(broken)
    with pytest.raises(FileNotFoundError, match="save\\(model, domain, path\\)"):
        open_classifier(tmp_path / "none")


def test_a_network_that_could_not_be_made_again_is_refused_when_it_is_saved(trained, tiny_domain, tmp_path):
    trained.layer1 = nn.Conv2d(8, 12, 3)
    with pytest.raises(ValueError, match="not the tiny that its name says: layer1"):
        save(trained, tiny_domain, tmp_path / "a.safetensors")
    trained.backbone = "mine"
    with pytest.raises(ValueError, match="no name to make it again"):
        save(trained, tiny_domain, tmp_path / "a.safetensors")


def test_weights_that_are_not_numbers_are_refused(trained, tiny_domain, tmp_path):
    with torch.no_grad():
        trained.layer1[0].weight[0] = torch.nan
    with pytest.raises(ValueError, match="Weights of layer1 are NaN"):
        save(trained, tiny_domain, tmp_path / "a.safetensors")


def test_a_failed_save_leaves_the_older_file(classifier, tmp_path, monkeypatch):
    from safetensors import SafetensorError

    path = save_classifier(classifier, tmp_path / "network.safetensors")
    old = path.read_bytes()

    def full(*_):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("labutils.deploy.files.save_file", full)
    with pytest.raises(OSError, match="No space left.*Free some disk space"):
        save_classifier(classifier, path)
    assert path.read_bytes() == old


def test_programs_that_import_the_earlier_names_still_run(trained, tiny_domain, tmp_path):
    from labutils import export

    again = export.load_weights(
        export.save_weights(export.pack(trained, tiny_domain), tmp_path / "a.safetensors")
    )
    assert again.classes == tiny_domain.classes
