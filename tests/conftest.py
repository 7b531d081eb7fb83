"""Pictures and networks that are small enough to train in a moment."""

import os
from functools import partial

import pytest
import torch
from helpers import CLASSES, TINY, coloured_patterns, with_statistics

from labutils import build_feature_extractor
from labutils.data import digits, solar, textures
from labutils.data.decode_cache import decode_once
from labutils.networks.backbones import BACKBONES

# One thread: networks this small gain nothing from two, and where another program wants the cores too, two
# threads that wait for each other at every layer were measured to be twenty times slower.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path, monkeypatch):
    """No test reads or writes the data of the person who runs it."""
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "data"))
    for name in ("LAB_DEVICE", "LAB_SEED"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "data"


@pytest.fixture(scope="session")
def decoders(tmp_path_factory):
    """The installed sets are decoded once for all tests and all processes that run them, two seconds each."""
    kept = tmp_path_factory.getbasetemp()
    kept = kept.parent / "decoded" if "PYTEST_XDIST_WORKER" in os.environ else kept / "decoded"

    def decode(source, original, image_size):
        path = kept / f"{source.PACKAGE}-{image_size}.safetensors"
        return decode_once(path, {}, partial(original, image_size))

    return {source: partial(decode, source, source.decode) for source in (digits, solar, textures)}


@pytest.fixture(autouse=True)
def decoded_already(decoders, monkeypatch):
    for source, decode in decoders.items():
        monkeypatch.setattr(source, "decode", decode)


@pytest.fixture(autouse=True)
def on_the_cpu(request, monkeypatch):
    """The tolerances are those of the CPU; the tests marked gpu choose their device themselves."""
    if "gpu" not in request.keywords:
        monkeypatch.setenv("LAB_DEVICE", "cpu")


@pytest.fixture
def printed(capsys):
    """What was printed since the last call, such as the verdict of an exercise, without its line breaks."""
    return lambda: " ".join(capsys.readouterr().out.split())


@pytest.fixture(scope="session")
def tiny_domain():
    """48 coloured pictures of 32 px in 3 classes: 30 to train on, 9 to validate, 9 to test."""
    return coloured_patterns()


@pytest.fixture
def tiny_backbone(monkeypatch):
    """Name of a small network in the registry, with made-up "pretrained" weights."""
    monkeypatch.setitem(BACKBONES, "tiny", TINY)
    return "tiny"


@pytest.fixture
def tiny_net(tiny_backbone):
    """Makes networks of four groups with random weights and a trainable head; always the same for a seed."""

    def make(dropout: float = 0.0, seed: int = 0, pretrained: bool = False):
        return build_feature_extractor(
            tiny_backbone, CLASSES, pretrained=pretrained, dropout=dropout, seed=seed
        )

    return make


@pytest.fixture(params=["tiny", "timm/test_efficientnet"])
def any_net(request, tiny_backbone, tiny_domain):
    """As ``tiny_net``, for the tiny network and for a real one: each contract must hold for both."""

    def make(dropout: float = 0.0, seed: int = 0):
        net = build_feature_extractor(request.param, CLASSES, pretrained=False, dropout=dropout, seed=seed)
        return with_statistics(net, tiny_domain.images[:16])

    return make
