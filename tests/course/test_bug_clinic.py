"""Material of the bug clinic: plain networks that lack the lab's care, and helpers that are sound."""

import pytest
import torch
from helpers import changed, pixels, snapshot
from torch import nn
from torch.optim import SGD

from labutils.course.bug_clinic import Pictures, accuracy, features_of, pictures, plain_network, train


@pytest.fixture
def plain(tiny_backbone):
    def make(**options):
        return plain_network(3, backbone=tiny_backbone, **options)

    return make


def test_plain_network_freezes_weights_and_nothing_else(plain, tiny_domain):
    net = plain()
    assert type(net) is nn.Sequential and [name for name, _ in net.named_children()][-1] == "head"
    assert {name.split(".")[0] for name, w in net.named_parameters() if w.requires_grad} == {"head"}
    assert all(module.training for module in net.modules())
    before = snapshot(net)
    net(pixels(tiny_domain))
    moved = changed(before, net)
    assert moved and all("running" in name or "num_batches" in name for name in moved)


def test_plain_network_starts_from_the_lab_s_weights(plain, tiny_net):
    ours = tiny_net(pretrained=True)
    assert not changed(snapshot(ours), plain())


def test_plain_network_takes_a_head_and_names(plain):
    head = nn.Linear(16, 3)
    net = plain(head=head, trainable=("stem", "head"), dropout=0.5)
    assert torch.equal(net.head[1].weight, head.weight) and net.head[1].weight is not head.weight
    assert (
        net.head[0].p == 0.5 and net.stem[0].weight.requires_grad and not net.layer1[0].weight.requires_grad
    )
    with pytest.raises(ValueError, match="layer9"):
        plain(trainable=("layer9",))


def test_pictures_are_pixels_with_their_labels(tiny_domain):
    x, y = pictures(tiny_domain, "validation")
    assert x.shape == (9, 3, 32, 32) and 0 <= x.min() and 0.5 < x.max() <= 1
    assert torch.equal(y, tiny_domain.labels[tiny_domain.validation])
    few, labels = pictures(tiny_domain, "train", count=4)
    assert torch.equal(few[-1], tiny_domain.images[tiny_domain.train[-1]] / 255)
    assert labels.tolist() == tiny_domain.labels[tiny_domain.train[[0, 10, 19, 29]]].tolist()


def test_a_transform_is_applied_at_every_look():
    images, labels = torch.zeros(5, 3, 4, 4), torch.arange(5)
    looks = iter(range(10))
    data = Pictures(images, labels, lambda image: image + next(looks))
    assert len(data) == 5 and [data[2][0].max().item() for _ in range(3)] == [0, 1, 2]
    assert data[2][1] == 2 and Pictures(images, labels)[3][0].max() == 0


def test_sound_helpers_leave_the_network_as_it_was(plain, tiny_domain):
    net, (x, y) = plain(dropout=0.9), pictures(tiny_domain)
    before = snapshot(net)
    features = features_of(net, x)
    assert features.shape == (30, 16) and torch.equal(features, features_of(net, x))
    score = accuracy(net, x, y)
    assert score == accuracy(net, x, y) and 30 * score == pytest.approx(round(30 * score))
    assert not changed(before, net) and all(module.training for module in net.modules())


def test_train_makes_the_steps_of_a_plain_loop():
    x, y = torch.randn(10, 4), torch.arange(10) % 2
    one, two = nn.Linear(4, 2), nn.Linear(4, 2)
    two.load_state_dict(one.state_dict())
    torch.manual_seed(0)
    losses = train(one, x, y, SGD(one.parameters(), lr=0.1), epochs=2, batch_size=4)
    optimizer, seen = SGD(two.parameters(), lr=0.1), []
    torch.manual_seed(0)
    for _ in range(2):
        of_epoch = []
        for rows in torch.randperm(10).split(4):
            each = nn.functional.cross_entropy(two(x[rows]), y[rows], reduction="none")
            optimizer.zero_grad()
            each.mean().backward()
            optimizer.step()
            of_epoch += each.tolist()
        seen.append(sum(of_epoch) / 10)
    assert torch.allclose(one.weight, two.weight) and losses == pytest.approx(seen)
