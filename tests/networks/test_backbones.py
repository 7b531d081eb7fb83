"""Backbones: cut without changing a bit, filled with the right weights or none at all, given a new head."""

import os
import subprocess
import sys
import warnings
from dataclasses import replace

import pytest
import skimage.data
import timm
import torch
from torch import nn
from torch.nn import functional as F

from labutils import build_feature_extractor, load_backbone
from labutils.networks.catalogue import BACKBONES, Backbone, _say_once, find
from labutils.runtime.seeds import seeded

SMALL = ["efficientnet_lite0", "mobilenet_v3_small", "timm/levit_128s", "timm/resnet10t"]


@pytest.mark.parametrize("name", [*SMALL, "squeezenet1_1", "timm/vit_tiny_patch16_224", "timm/dla46_c"])
def test_the_new_head_fits_and_is_all_that_is_trainable(name):
    net = build_feature_extractor(name, 5, pretrained=False, dropout=0.25).eval()
    assert net.names == ("stem", "layer1", "layer2", "layer3", "layer4", "head")
    assert net.trainable_names == ("head",)
    assert [part.p for part in net.head.modules() if isinstance(part, nn.Dropout) and part.p] == [0.25] * (
        2 if "levit" in name else 1
    )
    pictures = net.normalise(torch.rand(2, 3, 224, 224))
    assert net(pictures).shape == (2, 5)


def test_the_new_head_of_most_networks_is_dropout_and_one_linear_layer():
    for name in ("efficientnet_lite0", "mobilenet_v3_small", "timm/convnextv2_atto"):
        net = build_feature_extractor(name, 5, pretrained=False, dropout=0.25).eval()
        assert list(dict(net.head.named_children())) == ["dropout", "linear"]
        assert net[:-1](torch.rand(2, 3, 64, 64)).shape == (2, net.head.linear.in_features)


@pytest.mark.parametrize("name", SMALL)
def test_the_original_head_answers_as_the_uncut_network(name):
    with seeded(3):
        network = find(name).make(False).eval()
    with seeded(3):
        net = load_backbone(name, pretrained=False).eval()
    pictures = torch.rand(2, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(net(pictures), network(pictures))


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
    network, net = find("efficientnet_lite0").make(True), load_backbone("efficientnet_lite0").eval()
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
    for path in ("stem.features.0.0.weight", "head.linear.weight"):
        first, second, third = (net.state_dict()[path] for net in (one, same, other))
        assert torch.equal(first, second) and not torch.equal(first, third)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet-50",), "Unknown backbone 'resnet-50': did you mean resnet50"),
        (("efficientnet_lite_0",), "did you mean .*efficientnet_lite0"),
        (("timm/vit_tiny_patch16_224x",), "did you mean .*vit_tiny_patch16_224"),
        (("torchvision/convnextv2_atto",), "Unknown backbone"),
        (
            ("zzz",),
            "Unknown backbone 'zzz': There are efficientnet_lite0, efficientnet_lite2, and 1[0-9]{3} of",
        ),
        (("fcn_resnet50",), "Unknown backbone"),  # torchvision's, but no classifier
        (("resnet18", 1), "num_classes=1: a classifier needs at least 2"),
        (("resnet18", 0), "num_classes=0"),
        (("resnet18", 2.5), "num_classes=2.5: .* in whole numbers"),
        (("resnet18", "2"), "num_classes='2'"),
        ((None,), "Unknown backbone None"),
    ],
    ids=str,
)
def test_wrong_names_and_sizes_are_reported_with_the_remedy(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_feature_extractor(*arguments, pretrained=False)


@pytest.mark.parametrize("dropout", [-0.1, 1.0, float("nan"), "0.5"])
def test_dropout_out_of_range(dropout):
    with pytest.raises(ValueError, match=r"dropout=.* is out of range: use 0 up to"):
        build_feature_extractor("resnet18", dropout=dropout, pretrained=False)


# ---- names


def test_a_name_of_both_libraries_is_torchvisions_and_says_so():
    _say_once.cache_clear()
    with pytest.warns(UserWarning, match="resnet18 is torchvision's; timm's is called timm/resnet18"):
        assert "torchvision" in type(find("resnet18").make(False)).__module__
    assert "torchvision" in type(find("torchvision/resnet18").make(False)).__module__
    assert "timm" in type(find("timm/resnet18").make(False)).__module__
    assert "timm" in type(find("convnextv2_atto").make(False)).__module__, "a bare name that only timm has"


@pytest.mark.parametrize(
    ("name", "mean", "size", "fixed", "interpolation"),
    [
        ("efficientnet_lite0", 0.5, 224, False, "bicubic"),
        ("efficientnet_lite2", 0.5, 260, False, "bicubic"),
        ("resnet18", 0.485, 224, False, "bilinear"),
        ("inception_v3", 0.485, 299, False, "bilinear"),
        ("vit_b_16", 0.485, 224, True, "bilinear"),
        ("timm/vit_tiny_patch16_224", 0.5, 224, True, "bicubic"),
        ("timm/resnet18.tv_in1k", 0.485, 224, False, "bilinear"),
    ],
)
def test_the_pictures_that_the_weights_expect_come_from_the_library(name, mean, size, fixed, interpolation):
    found = find(name)
    assert (found.mean[0], found.size, found.fixed, found.interpolation) == (mean, size, fixed, interpolation)


@pytest.mark.parametrize("name, itself", [("googlenet", True), ("inception_v3", True), ("resnet18", False)])
def test_networks_that_normalise_pictures_themselves_are_made_to(name, itself, monkeypatch):
    """Else their weights would see pictures that they do not know."""
    options = {}
    monkeypatch.setattr("torchvision.models.get_model", lambda name, **given: options.update(given))
    find(f"torchvision/{name}").make(False)
    assert options.get("transform_input", False) is itself and options["weights"] is None


@pytest.mark.parametrize("classes, given", [(0, {"num_classes": 1000}), (1000, {})])
def test_a_network_of_timm_without_a_classifier_gets_one(classes, given, monkeypatch):
    wanted = timm.get_pretrained_cfg("resnet10t")
    monkeypatch.setattr(timm, "get_pretrained_cfg", lambda name: replace(wanted, num_classes=classes))
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained, **options: options)
    assert find("timm/resnet10t").make(False) == given


@pytest.mark.parametrize("size", [(1, 224, 224), (3, 224, 192)])
def test_networks_for_other_than_square_colour_pictures_are_refused(size, monkeypatch):
    wanted = replace(timm.get_pretrained_cfg("resnet10t"), input_size=size)
    monkeypatch.setattr(timm, "get_pretrained_cfg", lambda name: wanted)
    with pytest.raises(ValueError, match=f"takes {size[0]} channels of {size[1]} × {size[2]}, not square"):
        find("timm/resnet10t")


def test_pictures_for_a_network_of_a_fixed_size_are_resized_and_that_is_said():
    net = build_feature_extractor("timm/vit_tiny_patch16_224", 3, pretrained=False).eval()
    with pytest.warns(UserWarning, match="takes pictures of 224 px only: yours, of 64 px, are resized"):
        pictures = net.normalise(torch.full((2, 1, 64, 64), 0.5))
    assert pictures.shape == (2, 3, 224, 224) and pictures.abs().max() < 1e-6
    assert net[1:].image_size == 224 and net.table(64)[-1]["output shape"] == "3"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.normalise(torch.rand(1, 3, 224, 224))


def test_a_network_of_ones_own_is_an_entry(monkeypatch):
    def make(pretrained):
        widths = (3, 4, 6, 8, 10, 12)
        layers = [nn.Conv2d(a, b, 3, 2, 1) for a, b in zip(widths, widths[1:], strict=False)]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 7))

    monkeypatch.setitem(BACKBONES, "mine", Backbone(make, size=64))
    net = build_feature_extractor("mine", 3, pretrained=False)
    assert net.backbone == "mine" and net.trainable_names == ("head",)
    assert net(torch.rand(2, 3, 64, 64)).shape == (2, 3)


def test_lab_backbone_names_the_network_where_none_is_named():
    show = (
        "import inspect, labutils as lab; from labutils.headless.plan import Plan;"
        "print(lab.DEFAULT_BACKBONE, Plan.backbone, lab.Run('solar', lab.DEFAULT_BACKBONE, lab.Strategy('x', 1, 'at once', 1e-2), 9, 0).backbone,"
        "*(inspect.signature(f).parameters['backbone'].default for f in (lab.build_feature_extractor, lab.finetune,"
        " lab.domain_gap_experiment, lab.compare_transfer_vs_scratch)))"
    )
    environment = {**os.environ, "LAB_BACKBONE": "resnet18"}
    shown = subprocess.run(
        [sys.executable, "-c", show], env=environment, capture_output=True, text=True, check=True
    )
    assert set(shown.stdout.split()) == {"resnet18"}


def test_patches_that_do_not_divide_small_pictures_bind_the_network_to_its_own_size(monkeypatch):
    def make(pretrained: bool) -> nn.Module:
        return timm.create_model("vit_tiny_patch16_224", patch_size=14, depth=4, dynamic_img_size=True)

    monkeypatch.setitem(BACKBONES, "fourteen", Backbone(make, (0.5,) * 3, (0.5,) * 3, 224))
    with seeded(0):
        net = load_backbone("fourteen", pretrained=False).eval()
    assert net.image_size == 224  # to which pictures are resized, as for a ViT
    assert net(torch.rand(2, 3, 224, 224)).shape == (2, 1000)


def test_a_vision_transformer_is_made_for_the_size_of_its_weights(monkeypatch):
    """vit_h_14's default weights are for 518 px, torchvision's network without weights for 224."""
    import torchvision.models

    made = []
    monkeypatch.setattr(
        torchvision.models, "get_model", lambda name, **how: made.append(how) or torch.nn.Identity()
    )
    find("vit_h_14").make(False)
    find("vit_b_16").make(False)
    assert [how["image_size"] for how in made] == [518, 224]
