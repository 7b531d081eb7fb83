"""The engine gives the network's own numbers, faster and without touching it; where it cannot, the network answers."""

import pytest
import torch
from helpers import changed, conv, norms, snapshot
from torch import fx, nn
from torchvision.ops import SqueezeExcitation

from labutils.networks.adapters import add_adapters
from labutils.networks.groups import LayerGroups
from labutils.networks.inference_engine import PIXELS_PER_PASS, TOLERANCE, InferenceEngine, fastest


class Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.inside = nn.Sequential(
            nn.Conv2d(width, width, 5, padding=2, groups=width, bias=False),
            nn.BatchNorm2d(width),
            nn.Hardswish(),
            SqueezeExcitation(width, 4),
        )

    def forward(self, x):
        return x + self.inside(x)


class Attention(nn.Module):
    """Patches, one block of torch's own attention, the mean of the tokens."""

    def __init__(self):
        super().__init__()
        self.patches, self.norm = nn.Conv2d(3, 16, 8, 8), nn.LayerNorm(16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        y = self.norm(x)
        return (x + self.attention(y, y, y, need_weights=False)[0]).mean(1)


class Noise(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)


class Unsupported(nn.Module):
    def forward(self, x):
        return nn.functional.adaptive_avg_pool2d(x, 7)  # ONNX pools 32 pixels into 8, not into 7


class PictureDependent(nn.Module):
    """A number read from a picture stands in the graph for all pictures."""

    def forward(self, x):
        return x * float(x.sum())


class BatchDependent(nn.Module):
    """As BatchNorm without stored statistics: what a picture gives depends on those beside it."""

    def forward(self, x):
        return x - x.mean(0, keepdim=True)


def convolutions() -> nn.Module:
    return nn.Sequential(conv(3, 8), Residual(8), conv(8, 12))


def traced() -> nn.Module:
    return nn.Sequential(fx.symbolic_trace(convolutions()), nn.AdaptiveAvgPool2d(1), nn.Flatten(1))


def adapted() -> nn.Module:
    groups = LayerGroups({"stem": convolutions(), "head": nn.Sequential(nn.Linear(12, 3))})
    add_adapters(groups, rank=2)
    for name, weight in groups.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight)  # they begin at 0, where they would not be missed
    return groups[:-1]


def prepared(make) -> nn.Module:
    """In evaluation mode, with statistics that are not those of a new network."""
    net = make().requires_grad_(False).eval()
    for norm in norms(net):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    return net


def pictures(number: int, size: int = 32) -> torch.Tensor:
    return torch.rand(number, 3, size, size)


@torch.no_grad()
def assert_close(engine, net: nn.Module, images: torch.Tensor) -> None:
    expected, found = net(images), engine(images)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    assert (found - expected).abs().max() <= TOLERANCE * expected.abs().max()


@pytest.mark.parametrize("make", [convolutions, traced, Attention, adapted])
def test_same_numbers_for_any_number_of_pictures_and_nothing_moved(make):
    net = prepared(make)
    before, layout = snapshot(net), [tensor.stride() for tensor in net.state_dict().values()]
    engine = fastest(net, pictures(3))
    assert isinstance(engine, InferenceEngine)
    for number in (1, 3, 33):
        assert_close(engine, net, pictures(number))
    assert not changed(before, net) and not any(module.training for module in net.modules())
    assert layout == [tensor.stride() for tensor in net.state_dict().values()]
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_large_batches_are_split_and_keep_their_layout():
    net = prepared(convolutions)
    images = pictures(9, 192).contiguous(memory_format=torch.channels_last)
    assert 192 * 192 * len(images) > 2 * PIXELS_PER_PASS
    engine = fastest(net, images[:3])
    assert_close(engine, net, images)
    assert engine(images).is_contiguous(memory_format=torch.channels_last)
    assert engine(images.contiguous()).is_contiguous()


def test_it_holds_the_weights_as_they_were():
    net, images = prepared(convolutions), pictures(3)
    with torch.no_grad():
        engine, before = fastest(net, images), net(images)
        net[0][0].weight.mul_(-1)
        assert torch.allclose(engine(images), before, atol=1e-5)
        assert_close(fastest(net, images), net, images)


@pytest.mark.parametrize("make", [Noise, Unsupported, PictureDependent, BatchDependent])
def test_where_it_cannot_be_had_the_network_itself_answers(make, capfd):
    net = make().eval()
    assert fastest(net, pictures(3)) is net
    assert capfd.readouterr() == ("", ""), "what nobody has asked for is not reported either"


def test_other_types_and_modes_are_left_alone():
    net = prepared(convolutions)
    assert fastest(net.double(), pictures(3).double()) is net
    net.float()[1].inside[1].train()
    before = snapshot(net)
    assert fastest(net, pictures(3)) is net and not changed(before, net)


def test_hooks_are_called():
    net, images, seen = prepared(convolutions), pictures(3), []
    engine = fastest(net, images)
    hook = net[1].register_forward_hook(lambda module, given, answer: seen.append(answer.shape))
    assert fastest(net, images) is net and not seen, "no hook sees the pictures of a trial"
    with torch.no_grad():
        assert torch.equal(engine(images), net(images)) and len(seen) == 2
        hook.remove()
        engine(images)
    assert len(seen) == 2


@pytest.mark.parametrize("fast_attention", [True, False])
def test_torch_is_left_as_it_was(fast_attention):
    net, images = prepared(Attention), pictures(3)
    generator, before = torch.random.get_rng_state(), torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(fast_attention)
        fastest(net, images)
        assert torch.backends.mha.get_fastpath_enabled() == fast_attention
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
    assert torch.equal(torch.random.get_rng_state(), generator)
