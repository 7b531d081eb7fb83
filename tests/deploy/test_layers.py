"""Layers of torch.nn become data and layers again; nothing else is made from data."""

import json

import pytest
from torch import nn

from labutils.deploy.layers import NotDescribed, describe, rebuild

LAYERS = [
    nn.Linear(3, 4, bias=False),
    nn.LayerNorm((3, 2), eps=1e-3, bias=False),
    nn.LayerNorm(3, elementwise_affine=False),
    nn.BatchNorm2d(5, momentum=None, affine=False),
    nn.GroupNorm(2, 4),
    nn.Conv2d(2, 4, (1, 3), padding="same", groups=2),
    nn.GELU("tanh"),
    nn.LeakyReLU(0.3, inplace=True),
    nn.PReLU(3),
    nn.Dropout2d(0.2),
    nn.AdaptiveAvgPool2d(1),
    nn.Sequential(nn.Flatten(), nn.Sequential(nn.Hardswish(), nn.Softmax(1))),
]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_there_and_back(layer):
    again = rebuild(json.loads(json.dumps(describe(layer))))
    assert repr(again) == repr(layer)
    shapes = [{name: value.shape for name, value in one.state_dict().items()} for one in (again, layer)]
    assert shapes[0] == shapes[1]


class Linear(nn.Linear):
    """Of one's own, though its name is torch's."""


@pytest.mark.parametrize("module", [Linear(2, 2), nn.Sequential(nn.ReLU(), Linear(2, 2)), nn.ModuleList()])
def test_what_only_code_can_make_again(module):
    with pytest.raises(NotDescribed):
        describe(module)


def test_a_layer_that_was_changed():
    layer = nn.Linear(2, 3)
    layer.weight = nn.Parameter(layer.weight.detach()[:1].clone())
    with pytest.raises(NotDescribed, match="changed"):
        describe(layer)


@pytest.mark.parametrize("name", ["functional", "Parameter", "eval", "_reduction", "os"])
def test_a_strangers_file_names_nothing_but_layers(name):
    with pytest.raises(NotDescribed, match="has no layer"):
        rebuild({"layer": name, "arguments": {}})
