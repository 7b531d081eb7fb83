"""The other way to the gradient of a depthwise kernel gives the same numbers, and is taken only where it pays."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from labutils.networks import depthwise
from labutils.networks.depthwise import DepthwiseConv2d, use_fast_depthwise


def pair(channels=3, kernel=5, stride=1, **more) -> tuple[nn.Conv2d, DepthwiseConv2d]:
    """Torch's layer and the lab's, with the same weights."""
    padding = kernel // 2
    layers = [
        nn.Conv2d(channels, channels, kernel, stride, padding, groups=channels, bias=False, **more)
        for _ in range(2)
    ]
    layers[1].load_state_dict(layers[0].state_dict())
    use_fast_depthwise(layers[1])
    return tuple(layers)


def gradients(layer, x):
    x = x.clone().requires_grad_()
    y = layer(x)
    return (y.detach(), *torch.autograd.grad(y.square().sum(), (x, layer.weight)))


@settings(deadline=None, max_examples=40)
@given(
    pictures=st.integers(1, 3),
    channels=st.integers(2, 4),
    kernel=st.sampled_from([5, 7]),
    stride=st.integers(1, 3),
    side=st.integers(1, 8),
    last=st.booleans(),
)
def test_same_output_and_gradients_as_torch(pictures, channels, kernel, stride, side, last):
    theirs, ours = pair(channels, kernel, stride)
    x = torch.randn(pictures, channels, side, side)
    x = x.to(memory_format=torch.channels_last) if last else x
    expected, found = gradients(theirs, x), gradients(ours, x)
    assert torch.equal(expected[0], found[0]), "the output is the same to the last bit"
    for theirs_, ours_ in zip(expected[1:], found[1:], strict=True):
        torch.testing.assert_close(ours_, theirs_, rtol=1e-4, atol=1e-4)


def test_gradients_for_each_picture_alone_by_torch_func():
    theirs, ours = pair()
    x = torch.randn(4, 3, 4, 4)

    def each(layer):
        def loss(weights, picture):
            return torch.func.functional_call(layer, weights, (picture[None],)).square().sum()

        weights = {"weight": layer.weight.detach()}
        return torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, x)["weight"]

    torch.testing.assert_close(each(ours), each(theirs), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("where", ["large map", "evaluation", "frozen", "low precision"])
def test_elsewhere_torch_does_it(where, monkeypatch):
    def never(*_):
        raise AssertionError(where)

    _, ours = pair()
    monkeypatch.setattr(depthwise, "weight_gradient", never)
    side = depthwise.LARGEST_MAP + 1 if where == "large map" else 4
    ours.train(where != "evaluation").weight.requires_grad_(where != "frozen")
    with torch.autocast("cpu", torch.bfloat16, enabled=where == "low precision"):
        y = ours(torch.randn(2, 3, side, side).requires_grad_())
    y.float().sum().backward()
    if where == "evaluation":
        with pytest.raises(AssertionError, match=where):
            ours.train()(torch.randn(2, 3, 4, 4)).sum().backward()


def test_only_layers_that_gain_are_changed():
    layers = nn.Sequential(
        nn.Conv2d(4, 4, 5, groups=4, bias=False),
        nn.Conv2d(4, 4, 3, groups=4, bias=False),
        nn.Conv2d(4, 4, 5, bias=False),
        nn.Conv2d(4, 4, 5, groups=4),
        nn.Conv2d(4, 8, 5, groups=4, bias=False),
        nn.Conv2d(4, 4, 5, groups=4, bias=False, dilation=2),
        nn.Conv2d(4, 4, 5, groups=4, bias=False, padding="same"),
    )
    use_fast_depthwise(layers)
    assert [isinstance(layer, DepthwiseConv2d) for layer in layers] == [True] + 6 * [False]
