"""The training loop `fit` and the evaluation loop `evaluate`."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import pandas as pd
import torch

from labutils.data import Domain
from labutils.networks.adapters import is_adapter
from labutils.networks.freezing import freeze_all_but
from labutils.networks.groups import LayerGroups
from labutils.runtime.distributed import from_main, is_main, require_same
from labutils.runtime.progress import progress_bar
from labutils.training.activation_cache import ActivationCache
from labutils.training.checkpoints import Progress, load_checkpoint, save_checkpoint
from labutils.training.compatibility import require_fitting
from labutils.training.extra_loss import ExtraLoss
from labutils.training.settings import Settings
from labutils.training.stages import Stage
from labutils.training.trainer import Trainer, TrainingDiverged


def fit(
    model: LayerGroups,
    domain: Domain,
    settings: Settings = Settings(),
    stages: Sequence[Stage] | None = None,
    *,
    optimizer: torch.optim.Optimizer | None = None,
    cache: ActivationCache | None = None,
    against_forgetting: ExtraLoss | None = None,
    checkpoint: str | Path | None = None,
    on_epoch: Callable[[dict], bool | None] | None = None,
) -> pd.DataFrame:
    """Train the trainable groups on ``domain.train`` and watch ``domain.validation``.

    While a prefix is frozen its activations are computed once and reused. The same seed gives the same run;
    torch's own random generators are afterwards as they were.

    Several processes (see `labutils.runtime.distributed`) share each batch and the cache, and end with the weights of one
    process up to rounding; dropout draws other numbers. All of them call `fit`; the first one's answer of ``on_epoch``
    counts, and it alone writes the checkpoint, which all must be able to read.

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
    against_forgetting : ExtraLoss, optional
        Added to the loss at every step, such as `L2SP` or `Rehearsal` of `labutils.forgetting`. The losses in
        the history are those of ``domain`` alone.
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
        Before training: nothing to train, more classes than outputs, a checkpoint of another run; with several processes also
        BatchNorm that uses the statistics of the batch, and anything in which the processes differ.
    TrainingDiverged
        The loss became NaN or infinite; names step and rate. The weights are those of the last good epoch.
    """
    domain = require_fitting(model, domain)
    if not isinstance(settings, Settings):
        raise TypeError(
            f"settings is a {type(settings).__name__}, not Settings: a plan goes to stages=…, or after the settings"
        )
    if isinstance(stages, Stage):
        stages = [stages]
    stages = (
        [Stage(model.trainable_names, settings.epochs, settings.base_lr)] if stages is None else list(stages)
    )
    if not stages or any(not stage.groups for stage in stages):
        raise ValueError(
            "Nothing is trainable: unfreeze a group first, for instance with partial_finetune(model, 1)"
        )
    trainer = Trainer(model, domain, settings, optimizer, cache, stages[0].base_lr, against_forgetting)
    identity = {
        "settings": settings.digest,
        "plan": [[*stage.groups, stage.weights, stage.epochs, stage.base_lr] for stage in stages],
        "pictures": [domain.fingerprint, domain.train.tolist(), domain.validation.tolist()],
        "backbone": model.backbone,
        "head": repr(model.head),  # tells outputs and dropout
        "adapters": [
            (name, *weights.shape) for name, weights in model.named_parameters() if is_adapter(name)
        ],
        "start": "pretrained" if model.stored_statistics else "random",
        "rates": trainer.rates,
        "extra loss": against_forgetting and against_forgetting.identity,
    }
    progress = None
    if checkpoint is not None:
        progress = load_checkpoint(checkpoint, identity, model, trainer.optimizer, trainer.scaler)
    progress = progress or Progress.start(model)
    require_same({**identity, "epochs done": len(progress.rows)})
    model.classes = domain.classes

    total = sum(stage.epochs for stage in stages)
    with progress_bar(total=total, initial=len(progress.rows), desc="Training", unit="epoch") as bar:
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
                in_stage = progress.epoch + 1
                look = in_stage % settings.validate_every == 0 or in_stage == stage.epochs
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
                progress.stopped = from_main(bool(on_epoch and on_epoch(row)))
                if checkpoint is not None and is_main():
                    save_checkpoint(checkpoint, identity, progress, trainer.optimizer, trainer.scaler)
                shown = {"validation": f"{seen.accuracy:.1%}"} if look else {}
                bar.set_postfix(loss=f"{loss:.3f}", **shown, refresh=False)
                bar.update()
            if _gave_up(progress, settings):
                model.load_state_dict(progress.best)
            progress.stage, progress.epoch, progress.stale = progress.stage + 1, 0, 0
    freeze_all_but(model, stages[-1].groups, stages[-1].weights)
    if settings.keep_best:
        model.load_state_dict(progress.best)
    model.eval()
    return pd.DataFrame(progress.rows)


def _gave_up(progress: Progress, settings: Settings) -> bool:
    return settings.patience is not None and progress.stale >= settings.patience
