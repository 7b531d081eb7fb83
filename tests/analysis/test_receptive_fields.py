"""What a unit sees, and the crops that excite a channel most."""

import pytest
import torch
from helpers import with_statistics

from labutils.analysis.receptive_fields import Field, photographs, receptive_field, strongest_crops
from labutils.networks.groups import inference


@pytest.fixture
def net(tiny_net, tiny_domain):
    return with_statistics(tiny_net(pretrained=True), tiny_domain.images)


def test_fields_of_three_convolutions(net):
    assert receptive_field(net, "stem", 64) == Field(size=3, stride=2, start=-1)
    assert receptive_field(net, "layer1", 64) == Field(size=7, stride=4, start=-3)
    assert receptive_field(net, "layer2", 64) == Field(size=64, stride=0, start=0), "it is averaged"


def test_a_field_that_touches_the_border_is_the_whole_picture(net):
    assert receptive_field(net, "layer1", 8) == Field(size=8, stride=0, start=0)


def test_pixels_outside_the_field_change_nothing(net, tiny_domain):
    field, picture = receptive_field(net, "layer1", 32), tiny_domain.images[:1].float() / 255
    first = field.start + field.stride * 4
    inside = torch.zeros(32, 32, dtype=torch.bool)
    inside[first : first + field.size, first : first + field.size] = True
    with inference(net):
        unit, far, near = (
            net[:2](net.normalise(torch.where(change, 1 - picture, picture)))[0, :, 4, 4]
            for change in (torch.zeros_like(inside), ~inside, inside)
        )
    assert torch.equal(unit, far) and not torch.equal(unit, near)


def test_the_network_is_not_changed(net):
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    receptive_field(net, "layer1", 32)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert all(weight.grad is None for weight in net.parameters())


def spotted() -> torch.Tensor:
    """Three grey pictures; the second has a red spot, the third a weaker one."""
    pictures = torch.full((3, 3, 32, 32), 128, dtype=torch.uint8)
    pictures[1, 0, 13, 21], pictures[2, 0, 5, 5] = 255, 200
    return pictures


def test_crops_show_what_the_channel_looks_for(net):
    with torch.no_grad():
        net.stem[0].weight.zero_()
        net.stem[0].weight[3, 0, 1, 1] = 1.0  # channel 3 looks for red in the middle
    crops = strongest_crops(net, spotted(), "stem", [3], count=2)[3]
    assert [tuple(crop.shape) for crop in crops] == [(3, 3, 3)] * 2
    # With a stride of 2 the middles of the units are the even pixels.
    assert not crops[0][0].eq(255).any(), "the spot lies between the units"
    pictures = spotted().roll((1, 1), (2, 3))
    crops = strongest_crops(net, pictures, "stem", [3], count=2)[3]
    assert crops[0][0, 1, 1] == 255 and crops[1][0, 1, 1] == 200


def test_units_that_see_beyond_the_border_do_not_count(net):
    assert receptive_field(net, "stem", 32).inside(16, 32).tolist() == [False] + [True] * 15
    assert Field(size=32, stride=0, start=0).inside(4, 32).all()
    with torch.no_grad():
        net.stem[0].weight.zero_()
        net.stem[0].weight[3, 0, 1, 1] = 1.0
    pictures = torch.full((1, 3, 32, 32), 128, dtype=torch.uint8)
    pictures[0, 0, 0, 8], pictures[0, 0, 6, 6] = 255, 200
    crop = strongest_crops(net, pictures, "stem", [3])[3][0]
    assert crop.shape == (3, 3, 3) and crop[0, 1, 1] == 200


def test_late_groups_show_the_picture(net, tiny_domain):
    crops = strongest_crops(net, tiny_domain.images[:5], "layer2", [0, 2], count=9)
    assert list(crops) == [0, 2] and len(crops[2]) == 5
    with inference(net):
        responses = net[:3](net.normalise(tiny_domain.images[:5].float() / 255))[:, 2]
    order = responses.argsort(descending=True)
    assert all(
        torch.equal(crop, tiny_domain.images[i]) for crop, i in zip(crops[2], order.tolist(), strict=True)
    )


def test_what_is_not_there_is_reported(net, tiny_domain):
    with pytest.raises(ValueError, match="stem, layer1"):
        receptive_field(net, "layer9")
    with pytest.raises(ValueError, match="channels 0 to 7"):
        strongest_crops(net, tiny_domain.images, "stem", [8])


@pytest.mark.slow
def test_photographs_are_whole_and_in_tiles():
    pictures = photographs(32, tiles=2)
    assert pictures.shape == (16 * 5, 3, 32, 32) and pictures.dtype == torch.uint8
    tiles = pictures[16:20].float().view(2, 2, 3, 32, 32).permute(2, 0, 3, 1, 4).reshape(3, 64, 64)
    halved = torch.nn.functional.avg_pool2d(tiles, 2)
    assert (halved - pictures[0].float()).abs().mean() < 8, "four tiles make up the first photograph"


@pytest.mark.slow
def test_fields_of_the_default_network():
    from labutils import load_backbone

    model = load_backbone("efficientnet_lite0", pretrained=False)
    # By the rule size + (kernel - 1) * stride, layer by layer.
    sizes = {"stem": 7, "layer1": 19, "layer2": 67, "layer3": 339}
    assert {name: receptive_field(model, name, 384).size for name in sizes} == sizes
