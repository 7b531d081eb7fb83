"""Steps of one training run: batches, gradients, updates, evaluation."""

import math
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import nn

from labutils.networks.freezing import chosen_parameters, freeze_all_but
from labutils.networks.groups import BatchNorm
from labutils.runtime.devices import pick_device
from labutils.runtime.distributed import add_gradients, rank, share, start_alike, world_size
from labutils.runtime.progress import progress_bar
from labutils.runtime.seeds import derived_seed, seeded
from labutils.training.activation_cache import ActivationCache, Inputs
from labutils.training.compatibility import require_fitting
from labutils.training.evaluation import Evaluation, evaluate_inputs
from labutils.training.extra_loss import ExtraLoss
from labutils.training.gradient_checkpointing import run_checkpointed
from labutils.training.loss import Loss
from labutils.training.optimizers import (
    discriminative_lr_optimizer,
    head_place,
    require_held,
    trainable_parameters,
)
from labutils.training.precision import autocast
from labutils.training.schedule import schedule_shape
from labutils.training.stages import Stage


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number. The model holds the last good weights."""


class Trainer:
    """Steps of one run. `fit` and `lr_finder` both drive it, so that both see the same batches and losses.

    Whatever does not fit together is refused here, before anything is changed; arguments and errors as in `fit`.
    """

    def __init__(
        self,
        model,
        domain,
        settings,
        stages: Sequence[Stage] | Stage | None = None,
        optimizer=None,
        cache=None,
        against_forgetting: ExtraLoss | None = None,
    ):
        domain, outputs = require_fitting(model, domain, settings)
        if domain.only_test:
            raise ValueError(f"{domain.name} is a test set as a whole: open other pictures to train on")
        if outputs > len(domain.classes):
            warnings.warn(
                f"The head has {outputs} outputs for the {len(domain.classes)} classes of {domain.name}: build the model with "
                f"num_classes={len(domain.classes)} unless others are to follow",
                stacklevel=3,
            )
        self.model, self.domain, self.settings = model, domain, settings
        self.loss = Loss(settings, domain)
        if stages is None:
            stages = [Stage.as_it_is(model, settings.epochs, settings.base_lr)]
        self.stages = [stages] if isinstance(stages, Stage) else list(stages)
        weights = [chosen_parameters(model, stage.groups, stage.weights) for stage in self.stages]
        if not weights or not all(weights):
            raise ValueError(
                "Nothing is trainable: unfreeze a group first, for instance with partial_finetune(model, 1)"
            )
        first_rate = self.stages[0].base_lr
        if optimizer is None:
            optimizer = discriminative_lr_optimizer(
                model, first_rate, settings.lr_decay, settings.weight_decay
            )
        require_held(optimizer, model, {name: p for stage in weights for name, p in stage.items()})
        self.optimizer, self._head = optimizer, head_place(optimizer, model)
        self.rates = [group["lr"] / first_rate for group in optimizer.param_groups]
        self.device = pick_device(settings.device)
        model.to(self.device)
        if settings.channels_last:
            model.to(memory_format=torch.channels_last)
        # torch's first scale of 65536 skips the first dozen steps, which a short fine-tuning cannot spare.
        half = settings.precision == "float16"
        self.scaler = torch.amp.GradScaler(self.device.type, init_scale=1024.0, enabled=half)
        self.cache = cache if cache is not None else ActivationCache(settings.cache_limit_gb)
        self.extra = against_forgetting
        start_alike(model)
        self._own = torch.zeros(len(domain.images), dtype=torch.bool)
        self._own[share(domain.train)] = True

    def enter(self, stage: Stage) -> None:
        """Freeze all but the weights of ``stage`` and cut the network before the first of them."""
        freeze_all_but(self.model, stage.groups, stage.weights)
        self.model.zero_grad(set_to_none=True)  # somebody may have looked at a gradient before
        # Once: looking for them costs as much as a step of the head.
        self.trained = trainable_parameters(self.model)
        self.inputs = Inputs(self.model, self.domain, self.settings, self.cache)
        self.suffix = self.model[self.inputs.depth :]
        self.features = body = self.suffix[:-1]  # what the head is given
        if self.settings.gradient_checkpointing:
            recomputed = nn.Sequential(*body, nn.Identity())  # the last is not recomputed
            self.features = lambda x: run_checkpointed(recomputed, x)
        elif self.settings.compile and len(body):
            self.features = torch.compile(body)
        self.cache.announce(self.inputs, share(self.domain.train), stage.epochs)
        self.suffix.train()
        self.norms_see_batches = any(
            module.training for module in self.suffix.modules() if isinstance(module, BatchNorm)
        )
        self._fewest = 2 if self.norms_see_batches else 1  # pictures that can be normalised by each other
        self.steps_per_epoch = len(self.batches(0))
        if self.norms_see_batches:
            self._require_whole_batches()
        if self.extra is not None:
            self.extra.enter(self)

    def _require_whole_batches(self) -> None:
        if world_size() > 1:
            raise ValueError(
                "BatchNorm would see the statistics of a part of the batch: a network from scratch is trained "
                "by one process. Pretrained ones use their stored statistics"
            )
        if min(self.settings.batch_size, len(self.domain.train)) < 2:
            raise ValueError(
                "BatchNorm normalises by the batch here, and one picture has nothing to be normalised by: use "
                "batch_size=2 or more, and at least two training pictures"
            )
        if self.settings.accumulate > 1:
            warnings.warn(
                f"accumulate={self.settings.accumulate}: BatchNorm normalises each part by itself here, so the step is not "
                "that of the whole batch. Use accumulate=1 with a smaller batch_size, or stored statistics",
                stacklevel=5,
            )

    def batches(self, epoch: int) -> Sequence[torch.Tensor]:
        """Sample ids of the batches of an epoch, in an order that depends on seed and epoch only."""
        generator = torch.Generator().manual_seed(derived_seed(self.settings.seed, "order", epoch))
        order = torch.randperm(len(self.domain.train), generator=generator)
        return _pieces(self.domain.train[order], self.settings.batch_size, self._fewest)

    def source(self, epoch: int) -> Callable[[torch.Tensor], torch.Tensor]:
        """A function from sample ids to inputs, in the view of this epoch; fills the cache with this rank's share."""
        asked = (part for batch in self.batches(epoch) for part in self.parts(batch))
        return self.inputs.lookup(share(self.domain.train), self.inputs.view(epoch), asked)

    def mine(self, batch: torch.Tensor) -> torch.Tensor:
        """What this rank computes of a batch: the pictures whose activations it holds, or else an equal part."""
        if world_size() == 1:
            return batch
        return batch[self._own[batch]] if self.inputs.depth else share(batch)

    def parts(self, batch: torch.Tensor) -> Sequence[torch.Tensor]:
        """What this rank computes of a batch, in as many parts as gradients are accumulated over."""
        mine = self.mine(batch)
        size = math.ceil(len(mine) / self.settings.accumulate)
        return _pieces(mine, size, self._fewest) if len(mine) else ()

    @property
    def head_rate(self) -> float:
        """Learning rate of the head, or of the weights nearest to it that the optimizer holds."""
        return self.optimizer.param_groups[self._head]["lr"]

    def rates_relative_to_head(self) -> None:
        """Let `set_rate` mean the rate of the head, whatever rates the optimizer came with."""
        self.rates = [rate / self.rates[self._head] for rate in self.rates]

    def set_rate(self, head_rate: float) -> None:
        """Give the head this rate and the other groups theirs, in the ratios of the optimizer."""
        for group, ratio in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = head_rate * ratio

    def train_epoch(self, stage: Stage, epoch_in_stage: int, epoch: int) -> tuple[float, float]:
        """One pass over the training pictures. Returns mean loss and accuracy."""
        batches = self.batches(epoch)
        source = self.source(epoch)
        if self.extra is not None:
            self.extra.begin_epoch(epoch)
        self.suffix.train()  # the prefix always runs in evaluation mode
        losses, correct = [], 0
        with seeded(derived_seed(self.settings.seed, "dropout", epoch) + rank(), self.device):
            for i, batch in enumerate(progress_bar(batches, desc=f"Epoch {epoch + 1}")):
                within = epoch_in_stage * len(batches) + i
                shape = schedule_shape(self.settings.schedule, within, stage.epochs * len(batches))
                self.set_rate(stage.base_lr * shape)
                loss, right = self.backward(batch, source)
                losses.append(loss)
                correct = correct + right
                # Reading a number makes a GPU wait, so there not at every step.
                every = 1 if self.device.type == "cpu" else 50
                if (i + 1) % every == 0 or i + 1 == len(batches):
                    unseen = i // every * every
                    self._check_finite(losses[unseen:], epoch * len(batches) + unseen)
                self.update()
        # A loss is computed before its update, so the last update of an epoch needs a look of its own.
        if not torch.stack([p.isfinite().all() for p in self.trained]).all():
            raise TrainingDiverged(self._not_a_number("weights are", (epoch + 1) * len(batches)))
        sizes = [self.loss.weight(self.domain.labels[batch]) for batch in batches]
        sizes = torch.tensor(sizes, dtype=torch.float32, device=self.device)
        return float((torch.stack(losses) * sizes).sum() / sizes.sum()), int(correct) / len(self.domain.train)

    def backward(self, batch: torch.Tensor, source: Callable) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients of the mean loss over ``batch``, in parts. Returns mean loss and number of right answers.

        With several ranks each computes its part of the batch, and all end with the same gradients and numbers.
        """
        loss = correct = 0
        together = self.loss.weight(self.domain.labels[batch])
        for part in self.parts(batch):
            labels = self.domain.labels[part].to(self.device, non_blocking=True)
            with autocast(self.settings, self.device):
                features = self.features(source(part))
                # A head may work in place, such as one that begins with a ReLU.
                logits = self.model.head(features if self.extra is None else features.clone())
            # A picture weighs the same in whichever part it comes: summed here, divided by what the batch weighs.
            part_loss = self.loss.sum(logits.float(), labels) / together
            extra = 0 if self.extra is None else self.extra.loss(part, features) * (len(part) / len(batch))
            self.scaler.scale(part_loss + extra).backward()
            loss = loss + part_loss.detach()
            correct = correct + (logits.argmax(1) == labels).sum()
        return add_gradients(self.trained, loss, correct)

    def update(self) -> None:
        """Take the optimizer step and drop the gradients."""
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    def evaluate(self, ids: torch.Tensor) -> Evaluation:
        return evaluate_inputs(self.suffix, self.inputs, ids)

    def _check_finite(self, losses: list[torch.Tensor], first_step: int) -> None:
        finite = torch.stack(losses).isfinite()
        if not finite.all():
            step = first_step + int((~finite).nonzero()[0]) + 1
            raise TrainingDiverged(self._not_a_number("loss is", step))

    def _not_a_number(self, what: str, step: int) -> str:
        return (
            f"The {what} not a number at step {step}, head rate {self.head_rate:.3g}. The model holds the weights of the last "
            "good epoch. Use a lower base_lr (lr_finder suggests one), or bfloat16 instead of float16"
        )


def _pieces(ids: torch.Tensor, size: int, fewest: int) -> Sequence[torch.Tensor]:
    """``ids`` in pieces of ``size``; a last one of less than ``fewest`` joins the one before it."""
    pieces = ids.split(max(size, fewest))
    if len(pieces) > 1 and len(pieces[-1]) < fewest:
        return (*pieces[:-2], torch.cat(pieces[-2:]))
    return pieces
