"""Pictures unlike all training pictures are reported, those like them are not."""

import pytest
import torch

from labutils.deploy import pack
from labutils.deploy.novelty import FALSE_ALARMS, Novelty, upper_bound


def features(count: int, classes: int = 3, width: int = 20, seed: int = 0):
    """Clouds around one direction a class, wider in some directions than in others."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    spread = torch.linspace(0.05, 0.5, width)
    return 5 * torch.eye(width)[labels] + spread * torch.randn(count, width, generator=generator), labels


def test_false_alarms_are_as_rare_as_promised():
    train, labels = features(300)
    novelty = Novelty.fit(train, labels, features(1000, seed=1)[0])
    alarms = (novelty(features(1000, seed=2)[0]) > novelty.threshold).float().mean()
    assert FALSE_ALARMS / 3 < alarms < 3 * FALSE_ALARMS
    assert (novelty(features(100, classes=9)[0][3::9]) > novelty.threshold).all(), (
        "a class that was not there"
    )
    assert (novelty(-train) > novelty.threshold).all()


@pytest.mark.parametrize("count", [10, 20, 100])
def test_few_validation_pictures_promise_as_much(count):
    draws = torch.randn(500, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    bounds = torch.tensor([upper_bound(each) for each in draws], dtype=torch.float64)
    alarms = (1 - torch.special.ndtr(bounds)).mean()  # of ever more pictures of the same kind
    assert FALSE_ALARMS / 3 < alarms < 1.2 * FALSE_ALARMS, "the largest of ten alone would give 1 in 11"


def test_distances_are_those_of_mahalanobis():
    train, labels = features(300)
    novelty = Novelty.fit(train, labels, features(50, seed=1)[0])
    x = torch.nn.functional.normalize(train[:4], dim=1)
    unit = torch.nn.functional.normalize(train, dim=1)
    precision = novelty.whitening @ novelty.whitening.T
    means = torch.stack([unit[labels == i].mean(0) for i in range(3)])
    away = x[:, None] - means
    expected = torch.einsum("ncf,fg,ncg->nc", away, precision, away).amin(1).sqrt()
    torch.testing.assert_close(novelty(train[:4]), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "train, validation", [(features(3), 50), (features(300), 5), ((torch.ones(9, 4), features(9)[1]), 50)]
)
def test_too_little_to_tell(train, validation):
    width = train[0].shape[1]
    assert Novelty.fit(*train, features(validation, width=width, seed=1)[0]) is None


def test_without_it_nothing_is_called_unfamiliar(classifier, tiny_domain):
    assert classifier.novelty is None, "nine validation pictures are too few"
    assert not classifier.predict(tiny_domain.images)["unfamiliar"].any()


def test_an_unfamiliar_picture_has_its_mark(trained, tiny_domain, monkeypatch):
    monkeypatch.setattr("labutils.deploy.novelty.FEWEST", 5)
    classifier = pack(trained, tiny_domain)
    images = tiny_domain.images[tiny_domain.test]
    distances = classifier.novelty(classifier.parts(images)[0])
    classifier.novelty.threshold.copy_(distances.median())
    assert classifier.predict(images)["unfamiliar"].tolist() == (distances > distances.median()).tolist()
