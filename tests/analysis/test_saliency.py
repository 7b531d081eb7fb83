"""Class maps: equal to Captum's, blind to what does not matter, and without a trace in the network."""

import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam
from helpers import changed, snapshot, with_statistics

from labutils import build_feature_extractor
from labutils.analysis.saliency import class_map, hide
from labutils.networks.freezing import freeze_all_but


@pytest.fixture
def net(tiny_net, tiny_domain):
    return with_statistics(tiny_net(), tiny_domain.images[:16])


@pytest.mark.parametrize("group", ["stem", "layer1"])
@pytest.mark.parametrize("frozen", [True, False])
def test_equals_captum(net, tiny_domain, group, frozen):
    images = tiny_domain.images[:5]
    if not frozen:
        freeze_all_but(net, net.names)
    maps = class_map(net, images, 1, group)
    net.eval()
    reference = LayerGradCam(net, getattr(net, group)).attribute(
        net.normalise(images.float() / 255).requires_grad_(True), 1, relu_attributions=True
    )
    reference = LayerAttribution.interpolate(reference, (32, 32), "bilinear").squeeze(1).detach()
    assert maps.shape == (5, 32, 32) and maps.max() > 0
    torch.testing.assert_close(maps, reference, rtol=1e-4, atol=1e-6 * float(reference.max()) + 1e-7)


def test_in_parts_as_at_once_and_own_answer_by_default(net, tiny_domain):
    images = tiny_domain.images[:40]  # more than one pass
    with torch.no_grad():
        answers = net.eval()(net.normalise(images.float() / 255)).argmax(1)
    maps = class_map(net, images)
    torch.testing.assert_close(maps, class_map(net, images, answers))
    torch.testing.assert_close(maps[33:34], class_map(net, images[33:34]))
    assert not torch.equal(maps, class_map(net, images, (answers + 1) % 3))


def test_leaves_no_trace(net, tiny_domain):
    net.train()
    before, modes = snapshot(net), [part.training for part in net.modules()]
    class_map(net, tiny_domain.images[:4])
    assert changed(before, net) == set()
    assert [part.training for part in net.modules()] == modes
    assert all(parameter.grad is None for parameter in net.parameters())


def test_default_is_the_deepest_that_is_fine_enough(net, tiny_domain):
    # 32 px: stem 16 × 16, layer1 8 × 8, and layer2 ends in pooling
    images = tiny_domain.images[:3]
    assert torch.equal(class_map(net, images), class_map(net, images, group="layer1"))


@pytest.mark.parametrize("group", ["layer2", "head", "layer9"])
def test_a_group_without_a_map(net, tiny_domain, group):
    with pytest.raises(ValueError, match="stem, layer1"):
        class_map(net, tiny_domain.images[:1], group=group)


def test_hiding_covers_the_highest_places_and_no_others():
    images = torch.zeros(2, 3, 10, 10, dtype=torch.uint8)
    images[:, :, 5:] = 200
    maps = torch.zeros(2, 10, 10)
    maps[0, 0, :4], maps[1, 9, 6:] = 1, 2
    covered = hide(images, maps, 0.04)
    assert covered.dtype == torch.uint8
    assert (covered[0, :, 0, :4] == 100).all() and (covered[1, :, 9, 6:] == 100).all()
    assert ((covered != images).sum((1, 2, 3)) == 3 * 4).all()
    assert images.unique().tolist() == [0, 200], "the given pictures stay as they are"


@pytest.mark.parametrize("share", [0, -1, 1.5])
def test_share_out_of_range(share):
    with pytest.raises(ValueError, match="out of range"):
        hide(torch.zeros(1, 1, 4, 4, dtype=torch.uint8), torch.zeros(1, 4, 4), share)


def test_a_network_of_one_size_whose_channels_come_last():
    images = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    swin = build_feature_extractor("timm/swin_tiny_patch4_window7_224", 2, pretrained=False)
    with pytest.warns(UserWarning, match="are resized"):
        maps = class_map(swin, images, group="layer1")
    assert maps.shape == (2, 64, 64) and maps.std(1).max() > 0 and maps.std(2).max() > 0


def test_a_network_without_maps_is_reported():
    model = build_feature_extractor("timm/mixer_s32_224", 2, pretrained=False)
    with pytest.raises(ValueError, match="gives? (a|no) map"):
        class_map(model, torch.zeros(1, 3, 64, 64, dtype=torch.uint8), group="layer3")
