"""What the tests of `labutils.forgetting` share."""

from dataclasses import replace

import torch

from labutils import Domain, LayerGroups, Settings, Stage, freeze_all_but
from labutils.training.extra_loss import ExtraLoss
from labutils.training.trainer import Trainer

SHORT = Settings(epochs=2, batch_size=10, base_lr=1e-3, keep_best=False)


def thawed(net: LayerGroups) -> LayerGroups:
    """All groups trainable, BatchNorm by its stored statistics, as for pretrained weights."""
    net.stored_statistics = True
    freeze_all_but(net, net.names)
    return net


def another_task(domain: Domain) -> Domain:
    """The same pictures upside down and inverted, in two classes."""
    images, labels = 255 - domain.images.flip(-2), domain.labels.clamp(max=1)
    return replace(domain, name="other", images=images, labels=labels, classes=("a", "b"))


def sgd(model, rate: float = 0.05) -> torch.optim.SGD:
    """Adam divides by the size of the gradient, which blows rounding up; plain descent does not."""
    return torch.optim.SGD([{"params": list(model.parameters()), "name": "all"}], lr=rate)


def entered(extra: ExtraLoss, model: LayerGroups, domain: Domain, settings: Settings = SHORT) -> Trainer:
    """A trainer at the beginning of its first epoch."""
    trainer = Trainer(model, domain, settings, against_forgetting=extra)
    trainer.enter(Stage(model.trainable_names, 1, settings.base_lr))
    extra.begin_epoch(0)
    return trainer


def moved(model: LayerGroups) -> LayerGroups:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    return model
