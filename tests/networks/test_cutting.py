"""One rule cuts networks of all kinds into the same six groups, and what they compute stays the same to the bit."""

import copy
import pickle
from types import SimpleNamespace

import pytest
import torch
import torchvision.models as tv
from helpers import changed, norms, snapshot
from torch import nn
from torch.nn import functional as F
from torchvision.ops import stochastic_depth

from labutils import LayerGroups, freeze_all_but
from labutils.networks.cutting import NAMES, CannotCut, Places, cut


def from_timm(name, **options):
    def make():
        import timm

        return timm.create_model(name, num_classes=10, **options)

    return make


def small_swin():
    return tv.SwinTransformer([4, 4], 16, [2, 2, 2, 2], [1, 2, 4, 8], [4, 4], stochastic_depth_prob=0.2)


def small_vgg():
    widths = [8, "M", 16, "M", 32, 32, "M", 32, 32, "M", 64, 64, "M"]
    network = tv.VGG(tv.vgg.make_layers(widths), init_weights=False)
    network.classifier = nn.Sequential(nn.Linear(64 * 49, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 10))
    return network


def small_mvit():
    from timm.models.mvitv2 import MultiScaleVit, MultiScaleVitCfg

    plan = MultiScaleVitCfg(depths=(1, 1, 2, 1), embed_dim=16, num_heads=1)
    return MultiScaleVit(plan, img_size=64, num_classes=10)


def small_twins():
    from timm.models.twins import Twins

    return Twins(64, embed_dims=(16, 32, 64, 64), num_heads=(1, 2, 4, 4), depths=(1, 1, 2, 1), num_classes=10)


# How to make it, side of its pictures in pixels, and where one knows its groups from.
NETWORKS = {
    "ResNet": (tv.resnet18, 64, {"stem": "conv1", "layer1": "layer1", "layer3": "layer3", "head": "fc"}),
    "VGG": (small_vgg, 64, {"stem": "features.0", "layer4": "classifier.0", "head": "classifier.3"}),
    "SqueezeNet": (tv.squeezenet1_1, 64, {"layer1": "features.3", "head": "classifier.1"}),
    "DenseNet": (tv.densenet121, 64, {"layer1": "features.denseblock1", "layer2": "features.transition1"}),
    "RegNet": (tv.regnet_y_400mf, 64, {"stem": "stem", "layer2": "trunk_output.block2"}),
    "EfficientNet": (tv.efficientnet_b0, 64, {"stem": "features.1", "layer1": "features.2"}),
    "MobileNet": (tv.mobilenet_v3_small, 64, {"layer1": "features.1", "layer4": "features.12"}),
    "ShuffleNet": (tv.shufflenet_v2_x0_5, 64, {"stem": "conv1", "layer4": "conv5"}),
    "ConvNeXt": (from_timm("convnextv2_atto"), 64, {"stem": "stem", "layer3": "stages.2"}),
    "ViT": (
        from_timm("vit_tiny_patch16_224", img_size=64, drop_path_rate=0.2, proj_drop_rate=0.2),
        64,
        {"stem": "patch_embed", "layer1": "blocks.2", "layer2": "blocks.3", "layer4": "blocks.11"},
    ),
    "Swin": (small_swin, 64, {"stem": "features.0", "layer2": "features.2", "layer4": "features.7"}),
    "hybrid": (from_timm("vit_tiny_r_s16_p8_224", img_size=64), 64, {"layer4": "blocks.11"}),
    "Hiera, which Python cannot follow throughout": (
        from_timm("hiera_tiny_224"),
        224,
        {"layer4": "blocks.11"},
    ),
    "MViT, whose sizes flow beside the pictures": (
        small_mvit,
        64,
        {"layer3": "stages.2", "layer4": "stages.3"},
    ),
    "Twins, whose number of pictures does": (
        small_twins,
        64,
        {"layer2": "blocks.1.0", "layer4": "blocks.3.0"},
    ),
}
ONE_SIZE = {name for name in NETWORKS if name.startswith(("MViT", "Twins"))}


@pytest.fixture(scope="module")
def made():
    """Every network, its groups and pictures, made once: the tests put back what they change."""
    known = {}

    def make(name):
        if name not in known:
            torch.manual_seed(0)
            build, side, _ = NETWORKS[name]
            network = build()
            known[name] = (
                network,
                LayerGroups(cut(network, side, fixed=name in ONE_SIZE)),
                torch.rand(2, 3, side, side),
            )
        return known[name]

    return make


@pytest.mark.parametrize("name", NETWORKS)
def test_six_groups_answer_as_the_network_does_in_training_too(made, name):
    network, groups, pictures = made(name)
    assert groups.names == NAMES
    before = snapshot(network)
    for mode in (False, True):
        network.train(mode), groups.train(mode)
        outputs = []
        for net in (network, groups):
            network.load_state_dict(before)
            torch.manual_seed(1)
            with torch.no_grad():
                outputs.append(net(pictures))
        assert torch.equal(*outputs), f"training={mode}: dropout and stochastic depth are where they were"
    network.load_state_dict(before)
    assert {id(p) for p in groups.parameters()} == {id(p) for p in network.parameters()}
    assert sum(len(list(group.parameters())) for group in groups) == len(list(network.parameters()))


@pytest.mark.parametrize("name", NETWORKS)
def test_modules_are_the_original_ones_under_their_own_names(made, name):
    network, groups, _ = made(name)
    for group, path in NETWORKS[name][2].items():
        assert getattr(groups, group).get_submodule(path) is network.get_submodule(path)
    own = network.state_dict(keep_vars=True)
    for path, tensor in groups.state_dict(keep_vars=True).items():
        assert own[path.partition(".")[2]] is tensor


@pytest.mark.parametrize("name", NETWORKS)
def test_groups_bear_slicing_copying_and_pickling(made, name):
    _, groups, pictures = made(name)
    groups.eval()
    with torch.no_grad():
        expected = groups(pictures)
        for k in range(7):
            between = groups[:k](pictures)
            assert isinstance(between, torch.Tensor), "what a cache can keep"
            assert torch.equal(groups[k:](between), expected)
        for other in (copy.deepcopy(groups), pickle.loads(pickle.dumps(groups))):
            assert torch.equal(other(pictures), expected)


@pytest.mark.parametrize("name", ["ResNet", "ViT", "DenseNet", "MViT, whose sizes flow beside the pictures"])
def test_a_step_with_a_frozen_prefix_moves_the_rest_alone(made, name):
    _, groups, pictures = made(name)
    net = copy.deepcopy(groups)
    freeze_all_but(net, ("layer4", "head"))
    net.train()
    before = snapshot(net)
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], 0.1)
    F.cross_entropy(net(pictures), torch.tensor([0, 1])).backward()
    optimizer.step()
    moved = {path.split(".")[0] for path in changed(before, net)}
    assert moved == {"layer4", "head"}
    assert not any(norm.training for norm in norms(net[:4]))


@pytest.mark.parametrize("name", ["ResNet", "EfficientNet", "DenseNet", "Swin"])
def test_pictures_of_another_size_are_taken_where_the_network_takes_them(made, name):
    network, groups, _ = made(name)
    network.eval(), groups.eval()
    pictures = torch.rand(3, 3, 96, 80)
    with torch.no_grad():
        assert torch.equal(network(pictures), groups(pictures))


@pytest.mark.parametrize("name", ["ResNet", "EfficientNet", "ViT"])
def test_resolutions_and_work_are_those_of_the_rule(made, name):
    _, groups, pictures = made(name)
    x, sides = pictures, []
    with torch.no_grad():
        for group in groups.eval()[:-1]:
            x = group(x)
            sides.append(x.shape[-1] if x.ndim == 4 else None)
    assert x.ndim == 2, "pooling ends layer4"
    sizes = [sum(p.numel() for p in group.parameters()) for group in groups[1:4]]
    if name == "ViT":
        assert len(set(sizes)) == 1, "parts of equal work"
    else:
        assert sides[1:4] == [16, 8, 4]


def test_the_networks_mode_is_left_as_it_was():
    network = tv.shufflenet_v2_x0_5()
    network.stage2.eval()
    before = [module.training for module in network.modules()]
    cut(network, 64)
    assert [module.training for module in network.modules()] == before


@pytest.mark.parametrize(
    "drop",
    [
        lambda x, trained: F.dropout(x, 0.5, trained),
        lambda x, trained: F.dropout2d(x, p=0.5, training=trained),
        lambda x, trained: F.alpha_dropout(x, training=trained),
        lambda x, trained: stochastic_depth(x, 0.5, "batch", trained),
    ],
    ids=["dropout", "dropout2d", "alpha_dropout", "stochastic_depth"],
)
@pytest.mark.parametrize("last", [True, False], ids=["before the last layer", "inside"])
def test_a_dropout_between_modules_knows_training_from_evaluation(drop, last):
    class Net(nn.Sequential):
        def forward(self, x):
            for i, layer in enumerate(self):
                x = drop(x, self.training) if i == (4, 5)[last] else x
                x = layer(x if i < 5 else x.mean((2, 3)))
            return x

    convolutions = [nn.Conv2d(a, b, 3, 2, 1) for a, b in zip((3, 4, 5, 6, 7), (4, 5, 6, 7, 8), strict=True)]
    groups = copy.deepcopy(LayerGroups(cut(Net(*convolutions, nn.Linear(8, 3)), 64)))
    pictures = torch.rand(1, 3, 64, 64)
    groups.train()
    assert len({tuple(groups(pictures).flatten().tolist()) for _ in range(20)}) > 1
    groups.eval()
    assert torch.equal(groups(pictures), groups(pictures))


class Branching(nn.Module):
    """Looks at the numbers to choose what to do: no list of steps says what it computes."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x):
        if x.mean() > 0:
            x = -x
        return self.fc(self.conv(x).mean((2, 3)))


class Wide(nn.Module):
    """The pictures are needed again at the end."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(7, 2)

    def forward(self, x):
        return self.fc(torch.cat([self.conv(x).mean((2, 3)), x.mean((2, 3))], 1))


class TwoStreams(nn.Module):
    """All weights but those of a norm lie in two streams; after it only activations and pooling follow."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
        self.mixed, self.norm, self.fc = nn.Conv2d(8, 4, 3), nn.GroupNorm(1, 4), nn.Linear(4, 2)

    def forward(self, x):
        x = self.norm(self.mixed(torch.cat([self.one(x), self.other(x)], 1)))
        for _ in range(4):
            x = F.relu(x)
        return self.fc(x.mean((2, 3)))


class Sharing(nn.Sequential):
    """One convolution is used in layer1 and again in layer3."""

    def __init__(self):
        layers = [nn.Conv2d(3, 4, 3, 2, 1), *(nn.Conv2d(4, 4, 3, 2, 1) for _ in range(4)), nn.Linear(4, 2)]
        super().__init__(*layers)

    def forward(self, x):
        for i in (0, 1, 2, 1, 4):
            x = self[i](x)
        return self[5](x.mean((2, 3)))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (TwoStreams(), "all of its weights lie before .*layer4 would have none.*LayerGroups"),
        (Sharing(), "`1.weight` is used in layer1 and again in layer3.*LayerGroups"),
        (
            Branching(),
            r"(?s)Branching cannot be cut.*at `if x.mean\(\) > 0:` \(test_cutting.py:\d+\).*LayerGroups",
        ),
        (Wide(), r"(?s)Wide cannot be cut.*5 values through which everything flows.*there are \d"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), r"5 values through which everything flows"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_cut_is_reported_with_the_place_and_the_remedy(network, message):
    with pytest.raises(CannotCut, match=message):
        cut(network, 32)


@pytest.mark.parametrize(
    "done, divides, place",
    [
        ((0, 35, 50, 65, 100), (0, 0, 0), 2),  # about in the middle
        ((0, 35, 50, 65, 100), (0, 1, 1), 1),  # between whole modules rather than within
        ((0, 35, 50, 65, 100), (2, 2, 1), 3),
        ((0, 10, 45, 65, 100), (0, 1, 1), 2),  # where both parts have a fair share of the work
        ((0, 80, 85, 90, 100), (1, 0, 0), 1),  # where no place is fair, the nearest to the middle
        ((0, 10, 15, 75, 100), (0, 0, 1), 3),
    ],
)
def test_a_stage_is_cut_in_two_between_modules_and_about_in_the_middle(done, divides, place):
    stage = SimpleNamespace(
        work=lambda start, end: done[end] - done[start], divided=[(), *(["module"] * n for n in divides)]
    )
    assert Places.middle(stage, 0, 4) == place


class Choosing(nn.Module):
    """Looks at the numbers to choose what to do, inside a network that can be followed otherwise."""

    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, 1, 1)

    def forward(self, x):
        y = self.conv(x)
        return -y if y.mean() > 0 else y


def test_a_module_that_cannot_be_followed_is_one_step():
    widths = (3, 4, 5, 6, 7, 8)
    layers = [nn.Conv2d(a, b, 3, 2, 1) for a, b in zip(widths, widths[1:], strict=False)]
    network = nn.Sequential(*layers[:3], Choosing(6), *layers[3:], nn.Flatten(), nn.Linear(8 * 4, 2)).eval()
    groups, pictures = LayerGroups(cut(network, 64)).eval(), torch.rand(2, 3, 64, 64)
    (found,) = [part for part in groups.modules() if isinstance(part, Choosing)]
    assert found is network[3]
    for x in (pictures, -pictures):
        assert torch.equal(groups(x), network(x))


def test_cut_for_one_size_any_number_of_pictures_is_taken(made):
    for name in ONE_SIZE:
        network, groups, _ = made(name)
        network.eval(), groups.eval()
        pictures = torch.rand(5, 3, 64, 64)
        with torch.no_grad():
            assert torch.equal(network(pictures), groups(pictures))
            assert torch.equal(network(pictures[:1]), groups(pictures[:1]))


def test_a_network_that_can_be_followed_for_one_size_only_is_given_pictures_of_that_size(monkeypatch):
    import labutils.networks.backbones as backbones
    from labutils.networks.catalogue import Backbone

    tiny = Backbone(lambda pretrained: small_mvit(), (0.5,) * 3, (0.5,) * 3, 64)
    monkeypatch.setattr(backbones, "find", lambda name: tiny)
    model = backbones.load_backbone("tiny", pretrained=False)
    assert model.image_size == 64
    assert model.normalise(torch.rand(2, 3, 48, 48)).shape[-2:] == (64, 64)


def test_cutting_for_one_size_moves_no_generator_and_asks_the_weights_for_their_type():
    network = small_mvit().double()
    before = torch.get_rng_state()
    cut(network, 64, fixed=True)
    assert torch.equal(before, torch.get_rng_state())
