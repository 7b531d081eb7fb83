"""The one training loop and the one evaluation loop."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import pandas as pd
import torch
from torch.nn import functional as F
from tqdm.auto import tqdm

from labutils.activation_cache import ActivationCache, Inputs, autocast
from labutils.checkpoints import Progress, load_checkpoint, save_checkpoint
from labutils.domains import Domain
from labutils.freezing import Stage, freeze_all_but
from labutils.gradient_checkpointing import run_checkpointed
from labutils.groups import LayerGroups, inference
from labutils.optimizers import discriminative_lr_optimizer, schedule_shape
from labutils.settings import Settings, derived_seed, pick_device

EVALUATION_BATCH = 128


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number. The model holds the last good weights."""


@dataclass(frozen=True)
class Evaluation:
    """How a model does on some pictures, all on the CPU and in the order of the split.

    Attributes
    ----------
    loss : float
        Mean cross-entropy.
    accuracy : float
        Share of right answers, 0 to 1.
    logits : Tensor of shape (N, classes)
    labels : Tensor of shape (N,)
    """

    loss: float
    accuracy: float
    logits: torch.Tensor
    labels: torch.Tensor


def fit(
    model: LayerGroups,
    domain: Domain,
    settings: Settings = Settings(),
    stages: Sequence[Stage] | None = None,
    *,
    optimizer: torch.optim.Optimizer | None = None,
    cache: ActivationCache | None = None,
    checkpoint: str | Path | None = None,
    on_epoch: Callable[[dict], bool | None] | None = None,
) -> pd.DataFrame:
    """Train the trainable groups on ``domain.train`` and watch ``domain.validation``.

    While a prefix is frozen its activations are computed once and reused. The same seed gives the same run;
    torch's own random generators are afterwards as they were.

    Parameters
    ----------
    model : LayerGroups
        Trained in place, moved to the device of the settings, left in evaluation mode.
    domain : Domain
    settings : Settings
    stages : sequence of Stage, optional
        A plan from `partial_finetune`; default one stage of ``settings.epochs`` with what is trainable now.
    optimizer : Optimizer, optional
        Default `discriminative_lr_optimizer` with the settings. The rates of a given one belong to the first
        stage; later stages scale them by their ``base_lr`` over that of the first.
    cache : ActivationCache, optional
        To share activations between runs; default a new one of ``settings.cache_limit_gb``.
    checkpoint : path, optional
        Written after every epoch. If it exists, the run goes on from it exactly as if never interrupted.
    on_epoch : callable dict -> bool, optional
        Gets every new row of the history; returning True ends the training.

    Returns
    -------
    DataFrame
        A row an epoch: epoch, stage, step, freeze_depth, learning_rate (of the head, at the end), train_loss,
        train_accuracy, validation_loss, validation_accuracy (NaN where not looked at), seconds.

    Raises
    ------
    ValueError
        Before training: nothing to train, more classes than outputs, a checkpoint of another run.
    TrainingDiverged
        The loss became NaN or infinite; names step and rate. The weights are those of the last good epoch.
    """
    stages = (
        [Stage(model.trainable_names, settings.epochs, settings.base_lr)] if stages is None else list(stages)
    )
    if not stages or any(not stage.groups for stage in stages):
        raise ValueError(
            "Nothing is trainable: unfreeze a group first, for instance with partial_finetune(model, 1)"
        )
    trainer = Trainer(model, domain, settings, optimizer, cache, stages[0].base_lr)
    identity = {
        "settings": settings.digest,
        "plan": [[*stage.groups, stage.epochs, stage.base_lr] for stage in stages],
        "pictures": [domain.fingerprint, domain.train.tolist()],
        "backbone": model.backbone,
        "rates": trainer.rates,
    }
    progress = None
    if checkpoint is not None:
        progress = load_checkpoint(checkpoint, identity, model, trainer.optimizer, trainer.scaler)
    progress = progress or Progress.start(model)

    total = sum(stage.epochs for stage in stages)
    with tqdm(
        total=total, initial=len(progress.rows), desc="Training", unit="epoch", leave=False, delay=2
    ) as bar:
        while progress.stage < len(stages) and not progress.stopped:
            stage = stages[progress.stage]
            trainer.enter(stage)
            while progress.epoch < stage.epochs and not progress.stopped and not _gave_up(progress, settings):
                started, number = perf_counter(), len(progress.rows)
                try:
                    loss, accuracy = trainer.train_epoch(stage, progress.epoch, number)
                except TrainingDiverged:
                    model.load_state_dict(progress.weights)
                    raise
                look = (
                    progress.epoch + 1
                ) % settings.validate_every == 0 or progress.epoch + 1 == stage.epochs
                seen = trainer.evaluate(domain.validation) if look else None
                row = {
                    "epoch": number + 1,
                    "stage": progress.stage + 1,
                    "step": (number + 1) * trainer.steps_per_epoch,
                    "freeze_depth": trainer.inputs.depth,
                    "learning_rate": trainer.optimizer.param_groups[-1]["lr"],
                    "train_loss": loss,
                    "train_accuracy": accuracy,
                    "validation_loss": seen.loss if look else math.nan,
                    "validation_accuracy": seen.accuracy if look else math.nan,
                    "seconds": perf_counter() - started,
                }
                progress.note(row, model, stage.groups)
                progress.stopped = bool(on_epoch and on_epoch(row))
                if checkpoint is not None:
                    save_checkpoint(checkpoint, identity, progress, trainer.optimizer, trainer.scaler)
                bar.update()
                bar.set_postfix(
                    loss=f"{loss:.3f}", **({"validation": f"{seen.accuracy:.1%}"} if look else {})
                )
            if _gave_up(progress, settings):
                model.load_state_dict(progress.best)
            progress.stage, progress.epoch, progress.stale = progress.stage + 1, 0, 0
    freeze_all_but(model, stages[-1].groups)
    model.load_state_dict(progress.best if settings.keep_best else progress.weights)
    model.eval()
    return pd.DataFrame(progress.rows)


def _gave_up(progress: Progress, settings: Settings) -> bool:
    return settings.patience is not None and progress.stale >= settings.patience


def evaluate(
    model: LayerGroups,
    domain: Domain,
    split: str = "test",
    settings: Settings = Settings(),
    cache: ActivationCache | None = None,
) -> Evaluation:
    """Run the model over one split, without augmentation and in evaluation mode; nothing in it changes.

    Parameters
    ----------
    split : {"train", "validation", "test"}, default "test"
        Use "test" once, after every choice was made on "validation".
    cache : ActivationCache, optional
        Reuses the activations of a frozen prefix between models.

    Raises
    ------
    ValueError
        Unknown split.
    """
    if split not in ("train", "validation", "test"):
        raise ValueError(f"split={split!r}: use 'train', 'validation' or 'test'")
    model.to(pick_device(settings.device))
    inputs = Inputs(model, domain, settings, cache if cache is not None else ActivationCache(0))
    return _evaluate(model[inputs.depth :], inputs, getattr(domain, split))


class Trainer:
    """Steps of one run. `fit` and `lr_finder` both drive it, so that both see the same batches and losses."""

    def __init__(self, model, domain, settings, optimizer=None, cache=None, first_rate: float | None = None):
        if len(domain.classes) > (outputs := model.head[-1].out_features):
            raise ValueError(
                f"{domain.name} has {len(domain.classes)} classes but the head only {outputs} outputs: "
                f"build the model with num_classes={len(domain.classes)}"
            )
        self.model, self.domain, self.settings = model, domain, settings
        self.device = pick_device(settings.device)
        model.to(self.device)
        if settings.channels_last:
            model.to(memory_format=torch.channels_last)
        first_rate = first_rate or settings.base_lr
        if optimizer is None:
            optimizer = discriminative_lr_optimizer(
                model, first_rate, settings.lr_decay, settings.weight_decay
            )
        self.optimizer = optimizer
        self.rates = [group["lr"] / first_rate for group in optimizer.param_groups]  # relative to the head's
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=settings.precision == "float16")
        self.cache = cache if cache is not None else ActivationCache(settings.cache_limit_gb)
        self.steps_per_epoch = math.ceil(len(domain.train) / settings.batch_size)

    def enter(self, stage: Stage) -> None:
        """Freeze all but the groups of ``stage`` and cut the network before the first of them."""
        freeze_all_but(self.model, stage.groups)
        self.inputs = Inputs(self.model, self.domain, self.settings, self.cache)
        self.suffix = self.model[self.inputs.depth :]
        self.forward = self.suffix
        if self.settings.gradient_checkpointing:
            self.forward = lambda x: run_checkpointed(self.suffix, x)
        elif self.settings.compile:
            self.forward = torch.compile(self.suffix)
        self.cache.announce(self.inputs, self.domain.train, stage.epochs)

    def batches(self, epoch: int) -> tuple[torch.Tensor, ...]:
        """Sample ids of the batches of an epoch, in an order that depends on seed and epoch only."""
        generator = torch.Generator().manual_seed(derived_seed(self.settings.seed, "order", epoch))
        order = torch.randperm(len(self.domain.train), generator=generator)
        return self.domain.train[order].split(self.settings.batch_size)

    def set_rate(self, head_rate: float) -> None:
        """Give the head this rate and the other groups theirs, in the ratios of the optimizer."""
        for group, ratio in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = head_rate * ratio

    def train_epoch(self, stage: Stage, epoch_in_stage: int, epoch: int) -> tuple[float, float]:
        """One pass over the training pictures. Returns mean loss and accuracy."""
        batches = self.batches(epoch)
        source = self.inputs.lookup(self.domain.train, self.inputs.view(epoch))
        self.model.train()
        losses, correct = [], 0
        with torch.random.fork_rng():  # dropout draws from a seed of this epoch, and leaves no trace
            torch.manual_seed(derived_seed(self.settings.seed, "dropout", epoch))
            for i, batch in enumerate(tqdm(batches, desc=f"Epoch {epoch + 1}", leave=False, delay=2)):
                within = epoch_in_stage * len(batches) + i
                shape = schedule_shape(self.settings.schedule, within, stage.epochs * len(batches))
                self.set_rate(stage.base_lr * shape)
                loss, right = self.backward(batch, source)
                losses.append(loss)
                correct = correct + right
                # Reading a number makes a GPU wait, so there not at every step.
                if self.device.type == "cpu" or i % 50 == 49 or i + 1 == len(batches):
                    self._check_finite(losses, epoch * len(batches))
                self.update()
        sizes = torch.tensor([len(batch) for batch in batches], device=self.device)
        return float((torch.stack(losses) * sizes).sum() / sizes.sum()), int(correct) / int(sizes.sum())

    def backward(self, batch: torch.Tensor, source: Callable) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients of the mean loss over ``batch``, in parts. Returns mean loss and number of right answers."""
        loss = correct = 0
        for part in batch.split(math.ceil(len(batch) / self.settings.accumulate)):
            labels = self.domain.labels[part].to(self.device, non_blocking=True)
            with autocast(self.settings, self.device):
                logits = self.forward(source(part))
            # Each picture weighs the same, in whichever part it comes: summed here, divided by the batch.
            part_loss = F.cross_entropy(logits.float(), labels, reduction="sum") / len(batch)
            self.scaler.scale(part_loss).backward()
            loss = loss + part_loss.detach()
            correct = correct + (logits.argmax(1) == labels).sum()
        return loss, correct

    def update(self) -> None:
        """Take the optimizer step and drop the gradients."""
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    def evaluate(self, ids: torch.Tensor) -> Evaluation:
        return _evaluate(self.suffix, self.inputs, ids)

    def _check_finite(self, losses: list[torch.Tensor], first_step: int) -> None:
        finite = torch.stack(losses).isfinite()
        if not finite.all():
            step, rate = first_step + int((~finite).nonzero()[0]) + 1, self.optimizer.param_groups[-1]["lr"]
            raise TrainingDiverged(
                f"The loss is not a number at step {step}, head rate {rate:.3g}. The model holds the weights of the "
                "last good epoch. Use a lower base_lr (lr_finder suggests one), or bfloat16 instead of float16"
            )


def _evaluate(suffix: LayerGroups, inputs: Inputs, ids: torch.Tensor) -> Evaluation:
    source, labels = inputs.lookup(ids), inputs.domain.labels[ids]
    logits = []
    with inference(suffix):
        for part in tqdm(ids.split(EVALUATION_BATCH), desc="Evaluating", leave=False, delay=2):
            with autocast(inputs.settings, inputs.device):
                logits.append(suffix(source(part)).float().cpu())
    logits = torch.cat(logits)
    accuracy = (logits.argmax(1) == labels).float().mean()
    return Evaluation(float(F.cross_entropy(logits, labels)), float(accuracy), logits, labels)
