"""The runs behind the measured table "surface": test accuracy over trained groups and decay of the rate."""

from dataclasses import replace

from labutils.experiments.comparisons import augmentation_for
from labutils.experiments.runs import FEATURES, FULL, Run, Strategy
from labutils.networks.backbones import DEFAULT_BACKBONE
from labutils.training.settings import Settings

SETTINGS = Settings(
    epochs=8, batch_size=16, augmentation=augmentation_for("solar"), keep_best=False, validate_every=8
)


def last_groups(count: int, base_lr: float = FULL.base_lr, lr_decay: float = 3.0) -> Strategy:
    """Train the last ``count`` groups: the head alone, or the head first and then all of them at a tenth of the rate."""
    if count == 1:
        return replace(FEATURES, base_lr=base_lr)
    return replace(FULL, name=f"last {count} groups", groups=count, base_lr=base_lr, lr_decay=lr_decay)


def surface_run(count: int, lr_decay: float, seed: int) -> Run:
    """One point of the surface: 200 labelled solar cells of 64 px, 8 epochs."""
    return Run("solar", DEFAULT_BACKBONE, last_groups(count, lr_decay=lr_decay), 200, seed, SETTINGS, 64)
