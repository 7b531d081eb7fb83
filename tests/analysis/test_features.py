"""Features of groups, how alike they are, probes, and the distance from pretraining."""

import pytest
import torch
from helpers import coloured_patterns, snapshot, with_statistics

from labutils import build_feature_extractor, freeze_all_but
from labutils.analysis.cka import compare_groups, linear_cka
from labutils.analysis.domain_distance import distance_from_pretraining
from labutils.analysis.features import group_features
from labutils.analysis.linear_probes import probe_depths


@pytest.fixture
def net(tiny_net, tiny_domain):
    return with_statistics(tiny_net(pretrained=True), tiny_domain.images)


def test_features_are_those_of_a_plain_pass(net, tiny_domain):
    found = group_features(net, tiny_domain.images)
    net.eval()
    with torch.no_grad():
        stem = net.stem(net.normalise(tiny_domain.images.float() / 255))
        last = net[:-1](net.normalise(tiny_domain.images.float() / 255))
    assert list(found) == ["stem", "layer1", "layer2"]
    torch.testing.assert_close(found["stem"], stem.mean((2, 3)))
    torch.testing.assert_close(found["layer2"], last)


def test_looking_changes_nothing(net, tiny_domain):
    freeze_all_but(net, net.names)
    net.train()
    before, modes = snapshot(net), [module.training for module in net.modules()]
    features = group_features(net, tiny_domain.images)
    distance_from_pretraining(net, tiny_domain.images)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert [module.training for module in net.modules()] == modes
    assert not any(table.requires_grad for table in features.values())
    assert all(not module._forward_pre_hooks for module in net.modules())


@pytest.mark.parametrize("backbone", ["swin_t", "vit_b_16"])
def test_channels_are_features_wherever_a_network_has_them(backbone):
    """Swin has its channels last, a ViT tokens instead of a map."""
    net = build_feature_extractor(backbone, 2, pretrained=False)
    found = group_features(net, torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8))
    channels = {"swin_t": (96, 96, 192, 384, 768), "vit_b_16": (768,) * 5}[backbone]
    assert [tuple(each.shape) for each in found.values()] == [(2, count) for count in channels]


@pytest.mark.parametrize("images", [torch.zeros(2, 3, 32, 32), torch.zeros(0, 3, 32, 32).byte()])
def test_wrong_pictures_are_reported(net, images):
    with pytest.raises(ValueError, match="uint8 of shape"):
        group_features(net, images)


def random_features(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_cka_does_not_see_rotation_scale_and_shift():
    features = random_features(50, 6)
    rotation = torch.linalg.qr(random_features(6, 6, seed=1)).Q
    assert linear_cka(features, features) == pytest.approx(1)
    assert linear_cka(features, 3 * features @ rotation + 5) == pytest.approx(1, abs=1e-6)
    assert linear_cka(features, features * torch.tensor([9.0, 1, 1, 1, 1, 1])) < 0.9


def test_cka_is_that_of_the_centred_kernels():
    one, other = random_features(20, 5).double(), random_features(20, 3, seed=1).double()
    centre = torch.eye(20).double() - 1 / 20
    kernels = [centre @ table @ table.T @ centre for table in (one, other)]
    expected = (kernels[0] * kernels[1]).sum() / kernels[0].norm() / kernels[1].norm()
    assert linear_cka(one, other) == pytest.approx(float(expected))


def test_cka_of_unrelated_features_is_small_with_many_pictures():
    assert linear_cka(random_features(2000, 4), random_features(2000, 4, seed=1)) < 0.02


def test_cka_refuses_what_it_cannot_compare():
    with pytest.raises(ValueError, match="row for each picture"):
        linear_cka(torch.zeros(3, 2), torch.zeros(4, 2))
    with pytest.raises(ValueError, match="same for every picture"):
        linear_cka(torch.ones(3, 2), random_features(3, 2))


def test_comparing_groups(net, tiny_net, tiny_domain):
    assert compare_groups(net, net, tiny_domain.images)["cka"].tolist() == pytest.approx([1, 1, 1])
    other = with_statistics(tiny_net(seed=1), tiny_domain.images)
    table = compare_groups(net, other, tiny_domain.images)
    assert table["group"].tolist() == ["stem", "layer1", "layer2"] and (table["cka"] < 0.999).all()


def test_probes_learn_from_train_and_are_scored_on_validation(net, tiny_domain):
    table = probe_depths(net, tiny_domain)
    assert table["group"].tolist() == ["stem", "layer1", "layer2"]
    assert table["channels"].tolist() == [8, 12, 16]
    assert (table["accuracy"] > 0.6).all(), "three classes, printed apart by colour"
    upset = coloured_patterns()
    upset.labels[upset.test] = 0
    assert probe_depths(net, upset).equals(table), "the test pictures play no part"


def test_distance_is_zero_at_home_and_grows(net, tiny_domain):
    home = distance_from_pretraining(net, tiny_domain.images)
    assert home["group"].tolist() == ["stem", "layer1", "layer2"], "the head has no BatchNorm"
    assert (home["distance"] < 0.02).all()
    darker = distance_from_pretraining(net, tiny_domain.images // 2)
    black = distance_from_pretraining(net, tiny_domain.images // 8)
    assert (darker["distance"] > 0.1).all() and (black["distance"] > darker["distance"]).all()


def test_distance_by_hand(net, tiny_domain):
    """A stem that passes on a black picture as zeros: μ = σ = 0, so each channel gives (μ₀² + σ₀²) / σ₀²."""
    with torch.no_grad():
        net.stem[0].weight.zero_()
    norm = net.stem[1]
    norm.running_mean.fill_(2.0)
    norm.running_var.fill_(4.0 - norm.eps)
    table = distance_from_pretraining(net, torch.zeros(3, 3, 32, 32, dtype=torch.uint8))
    assert table["distance"].iloc[0] == pytest.approx(((4 + 4) / 4) ** 0.5)


def test_distance_does_not_depend_on_the_batches(net, tiny_domain, monkeypatch):
    whole = distance_from_pretraining(net, tiny_domain.images)
    monkeypatch.setattr("labutils.analysis.features.pictures_per_pass", lambda device: 5)
    parts = distance_from_pretraining(net, tiny_domain.images)
    assert parts["distance"].tolist() == pytest.approx(whole["distance"].tolist())


def test_distance_needs_statistics_of_pretraining(tiny_net, tiny_domain):
    with pytest.raises(ValueError, match="no BatchNorm statistics"):
        distance_from_pretraining(tiny_net(), tiny_domain.images)
