"""Lightning: the frozen part as its page on transfer learning has it, `BackboneFinetuning`, and the tuner's `lr_find`.

Without logger, checkpoints, progress bar and summary, which would only take time.
"""

import tempfile
import warnings

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BackboneFinetuning
from lightning.pytorch.tuner import Tuner
from torch import nn
from torch.nn import functional as F

from benchmarks.peers.tasks import EPOCHS, HIGHEST, LOWEST, STEPS, WEIGHT_DECAY, Bench


class Classifier(LightningModule):
    """``frozen`` groups run without gradient and in evaluation mode, then ``backbone`` and ``head``."""

    def __init__(self, network: nn.Sequential, frozen: int, rate: float, only_head: bool = False):
        super().__init__()
        self.frozen = network[:frozen].requires_grad_(False).eval()
        self.backbone, self.head = network[frozen:-1], network.head
        self.rate, self.trained = rate, self.head if only_head else nn.ModuleList([self.backbone, self.head])

    def forward(self, pictures):
        with torch.no_grad():
            pictures = self.frozen(pictures)
        return self.head(self.backbone(pictures))

    def training_step(self, batch, _):
        pictures, labels = batch
        return F.cross_entropy(self(pictures), labels)

    def validation_step(self, batch, _):
        pictures, labels = batch
        logits = self(pictures)
        self.log("validation_loss", F.cross_entropy(logits, labels))
        self.log("validation_accuracy", (logits.argmax(1) == labels).float().mean())

    def configure_optimizers(self):
        return torch.optim.AdamW(self.trained.parameters(), lr=self.rate, weight_decay=WEIGHT_DECAY)


def _trainer(folder: str, epochs: int, *callbacks) -> Trainer:
    warnings.filterwarnings("ignore", module="lightning")  # it advises worker processes
    return Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=epochs,
        callbacks=list(callbacks),
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _train(bench: Bench, frozen: int, epochs: int, *callbacks, only_head: bool = False):
    network, loaders = bench.network(), bench.loaders
    with tempfile.TemporaryDirectory() as folder, bench.clock():
        module = Classifier(network, frozen, bench.job.rate, only_head)
        _trainer(folder, epochs, *callbacks).fit(module, *loaders.values())
    return module.eval()


def head(bench: Bench):
    return _train(bench, 5, EPOCHS["head"])


def mixed(bench: Bench):
    unfreeze = BackboneFinetuning(unfreeze_backbone_at_epoch=EPOCHS["frozen"])
    return _train(bench, 4, EPOCHS["frozen"] + EPOCHS["tuned"], unfreeze, only_head=True)


def full(bench: Bench):
    return _train(bench, 0, EPOCHS["full"])


def _range_test(bench: Bench, frozen: int) -> list[float]:
    network, loaders = bench.network(), bench.loaders
    with tempfile.TemporaryDirectory() as folder, bench.clock():
        module = Classifier(network, frozen, bench.job.rate)
        found = Tuner(_trainer(folder, 1000)).lr_find(
            module,
            loaders["train"],
            min_lr=LOWEST,
            max_lr=HIGHEST,
            num_training=STEPS,
            early_stop_threshold=None,
            attr_name="rate",
        )
    return found.results["loss"]


def range_head(bench: Bench):
    return _range_test(bench, 5)


def range_full(bench: Bench):
    return _range_test(bench, 0)
