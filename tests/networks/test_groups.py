"""A network is a sequence of named groups: cutting it changes nothing, and the summary tells the truth."""

import re

import pytest
import torch
from helpers import CLASSES, TINY, norms, pixels, snapshot
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from labutils import LayerGroups, build_feature_extractor, freeze_all_but
from labutils.networks.backbones import BACKBONES, load_backbone
from labutils.networks.groups import inference


@pytest.fixture(scope="module")
def networks():
    """Two networks, made once: hypothesis runs a test many times."""
    BACKBONES["tiny"] = TINY
    try:
        return [load_backbone(name, pretrained=False).eval() for name in ("tiny", "mobilenet_v3_small")]
    finally:
        del BACKBONES["tiny"]


@given(which=st.integers(0, 1), k=st.integers(0, 9), pictures=st.integers(1, 3), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_a_cut_anywhere_changes_no_bit(networks, which, k, pictures, seed):
    net = networks[which]
    k = min(k, len(net))
    x = torch.rand(pictures, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        assert torch.equal(net[k:](net[:k](x)), net(x))
    assert net[:k].names + net[k:].names == net.names


@given(which=st.integers(0, 1), first=st.integers(-9, 9), last=st.integers(-9, 9))
@settings(max_examples=30, deadline=None)
def test_slices_follow_python_and_share_the_weights(networks, which, first, last):
    net = networks[which]
    part = net[first:last]
    assert part.names == net.names[first:last]
    for name, group in part.named_children():
        assert group is getattr(net, name)


def test_slices_keep_what_belongs_to_the_network(tiny_net):
    net = tiny_net(pretrained=True).train()
    part = net[1:]
    assert isinstance(part, LayerGroups) and part.training
    assert (part.mean, part.std, part.backbone) == (net.mean, net.std, "tiny")
    part.train()
    assert not any(norm.training for norm in norms(part)), "stored statistics are for slices too"
    assert net[0] is net.stem and net[-1] is net.head
    assert not net.eval()[1:].training


def test_a_weight_changed_through_a_slice_is_changed_in_the_network(any_net):
    net = any_net()
    with torch.no_grad():
        net[1:].head[-1].bias.fill_(5)
    assert net.head[-1].bias.eq(5).all()


def test_freeze_depth_counts_frozen_groups_from_the_front(any_net):
    net = any_net()
    assert net.freeze_depth == len(net) - 1
    freeze_all_but(net, ("layer1", "head"))
    assert net.freeze_depth == 1 and net.trainable_names == ("layer1", "head")
    freeze_all_but(net, net.names)
    assert net.freeze_depth == 0
    freeze_all_but(net, ())
    assert net.freeze_depth == len(net)


def test_summary_prints_groups_parameters_state_and_shapes(tiny_net, capsys):
    net = tiny_net()
    before = [module.training for module in net.modules()]
    net.summary(32)
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert lines[0] == "tiny, pictures of 32 × 32 px"
    assert [line.split()[0] for line in lines[2:]] == ["stem", "layer1", "layer2", "head", "total"]
    assert lines[2].split() == ["stem", "232", "frozen", "8", "×", "16", "×", "16"]
    assert lines[4].split()[2:] == ["frozen", "16"]
    assert lines[5].split() == ["head", "51", "trainable", str(CLASSES)]
    total = sum(p.numel() for p in net.parameters())
    assert f"{total:,}" in lines[6]
    share = re.search(r"51 \(([\d.]+)%\) are trained", lines[6]).group(1)
    assert float(share) == pytest.approx(100 * 51 / total, abs=0.05)
    assert before == [module.training for module in net.modules()]


def test_table_moves_no_buffer_and_adds_up(any_net):
    net = any_net().train()
    before = snapshot(net)
    rows = net.table(64)
    assert sum(row["parameters"] for row in rows) == sum(p.numel() for p in net.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_normalise_turns_grey_and_colour_into_what_the_stem_expects(tiny_domain):
    net = build_feature_extractor("mobilenet_v3_small", pretrained=False)
    colour = net.normalise(pixels(tiny_domain, 4))
    grey = net.normalise(pixels(tiny_domain, 4)[:, :1])
    assert colour.shape == grey.shape == (4, 3, 32, 32)
    expected = (pixels(tiny_domain, 4)[:, 1] - 0.456) / 0.224
    assert torch.allclose(colour[:, 1], expected, atol=1e-6)


def test_pictures_are_made_smaller_by_means_and_not_by_leaving_pixels_out():
    net = LayerGroups({"head": nn.Flatten()}, image_size=8)
    # Two columns of eight are white: those in the middle, where a plain interpolation looks.
    pictures = torch.tensor([0.0, 0, 0, 1, 1, 0, 0, 0]).repeat(8).expand(1, 3, 64, 64)
    with pytest.warns(UserWarning, match="are resized"):
        assert net.normalise(pictures).max() < 0, "more black than white"


def test_inference_puts_every_mode_back_also_after_an_error(any_net):
    net = any_net().train()
    net.head.eval()
    before = [module.training for module in net.modules()]
    with pytest.raises(RuntimeError, match="on purpose"), inference(net):
        assert not any(module.training for module in net.modules())
        assert not net(torch.rand(2, 3, 32, 32)).requires_grad
        raise RuntimeError("on purpose")
    assert before == [module.training for module in net.modules()]


def test_dropout_of_a_frozen_group_is_off_and_that_of_a_trainable_one_on():
    def net():
        layers = {
            "stem": nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)),
            "head": nn.Sequential(nn.Linear(4, 2)),
        }
        return LayerGroups(layers)

    frozen = net()
    freeze_all_but(frozen, ("head",))
    assert not frozen.train().stem[1].training
    assert net().train().stem[1].training
