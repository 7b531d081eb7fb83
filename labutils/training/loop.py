"""The training loop `fit`."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter

import pandas as pd
import torch

from labutils.data import Domain
from labutils.networks.freezing import freeze_all_but
from labutils.networks.groups import LayerGroups
from labutils.runtime.distributed import from_main, is_main, require_same
from labutils.runtime.progress import progress_bar
from labutils.training.activation_cache import ActivationCache
from labutils.training.checkpoints import Progress, identity, load_checkpoint, save_checkpoint
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
    """Train the trainable weights on ``domain.train`` and watch ``domain.validation``.

    While a prefix is frozen its activations are computed once and reused. The same seed gives the same run;
    torch's own random generators are afterwards as they were.

    If it ends early, by Ctrl-C or any other exception, the network is left in evaluation mode, without gradients, with the
    weights of the best epoch so far (of the last whole one without ``keep_best``, and where the loss became no number). The
    exception carries the rows until then as ``history``, in a notebook ``sys.last_value.history``, and a note that says so.

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
        A plan from `partial_finetune`; what it thaws or freezes at its beginning is printed. Default one stage of
        ``settings.epochs`` that trains exactly the weights with ``requires_grad``.
    optimizer : Optimizer, optional
        Default `discriminative_lr_optimizer` with the settings. A given one must hold every weight that any stage
        trains. Its rates belong to the first stage; later stages scale them by their ``base_lr`` over that of the first.
    cache : ActivationCache, optional
        To share activations between runs; default a new one of ``settings.cache_limit_gb``.
    against_forgetting : ExtraLoss, optional
        Added to the loss at every step, such as `L2SP` or `Rehearsal` of `labutils.forgetting`. The losses in
        the history are those of ``domain`` alone.
    checkpoint : path, optional
        Written after every epoch. If it exists, the run goes on from it exactly as if never interrupted. The last stage
        may have got more epochs: it is then trained on, from the weights of its last epoch, at the rates that the longer
        schedule has there. With "cosine" the rate so jumps up again, and the result is not that of a run planned so long
        from the start; with "constant" it is. A run ended by patience or by ``on_epoch`` stays ended.
    on_epoch : callable dict -> bool, optional
        Gets every new row of the history; returning True ends the training.

    Returns
    -------
    DataFrame
        A row an epoch: epoch, stage, step, freeze_depth, learning_rate (of the head, at the end), train_loss,
        train_accuracy, validation_loss, validation_accuracy (NaN where not looked at), seconds; and
        validation_balanced_accuracy where ``settings.select_by`` asks for it. The training loss is the one that is
        minimised, with class weights and smoothing; that of validation is plain cross-entropy.

    Raises
    ------
    ValueError
        Before training: nothing to train; a head that does not fit, gives probabilities or has too few outputs; an optimizer
        that does not hold what is to be trained; class weights of other classes; a checkpoint of another run; with several
        processes also BatchNorm that uses the statistics of the batch, and anything in which the processes differ.
    TrainingDiverged
        The loss became NaN or infinite; names step and rate. The weights are those of the last good epoch.
    """
    trainer = Trainer(model, domain, settings, stages, optimizer, cache, against_forgetting)
    # The run changes these; a given optimizer is its owner's, who may train on with it.
    lent = [
        {name: group[name] for name in ("lr", "weight_decay") if name in group}
        for group in trainer.optimizer.param_groups
    ]
    run, progress = identity(trainer), None
    if checkpoint is not None:
        progress = load_checkpoint(checkpoint, run, trainer)
    progress = progress or Progress.start(model)
    require_same({**run, "epochs done": len(progress.rows)})
    if stages is not None and (change := trainer.stages[0].changes(model)):
        print(f"The plan {change}")
    model.classes = trainer.domain.classes
    try:
        for row in _epochs(trainer, progress):
            progress.stopped = from_main(bool(on_epoch and on_epoch(row)))
            if checkpoint is not None and is_main():
                save_checkpoint(checkpoint, run, progress, trainer)
        freeze_all_but(model, trainer.stages[-1].groups, trainer.stages[-1].weights)
    except BaseException as stop:
        weights, epoch = progress.kept(settings.keep_best and not isinstance(stop, TrainingDiverged))
        _settle(model, weights)
        stop.history = pd.DataFrame(progress.rows)
        held = (
            f"of epoch {epoch}{', the best one' * (weights is progress.best)}" if epoch else "it began with"
        )
        stop.add_note(
            f"Training ended after {len(progress.rows)} whole epochs. The network is in evaluation mode with the weights "
            f"{held}; the history is this exception's `history` (in a notebook: sys.last_value.history)"
        )
        raise
    finally:
        for group, values in zip(trainer.optimizer.param_groups, lent, strict=True):
            group.update(values)
    _settle(model, progress.kept(settings.keep_best)[0])
    return pd.DataFrame(progress.rows)


def _epochs(trainer: Trainer, progress: Progress) -> Iterator[dict]:
    """Train from where ``progress`` stands to the end of the plan, and give the row of each epoch."""
    model, stages, settings = trainer.model, trainer.stages, trainer.settings
    total = sum(stage.epochs for stage in stages)
    with progress_bar(total=total, initial=len(progress.rows), desc="Training", unit="epoch") as bar:
        while progress.stage < len(stages) and not progress.stopped:
            stage = stages[progress.stage]
            trainer.enter(stage)
            while progress.epoch < stage.epochs and not progress.stopped and not _gave_up(progress, settings):
                row = _epoch(trainer, progress, stage)
                progress.note(row, model, settings.score_column)
                yield row
                seen = row["validation_accuracy"]
                shown = {} if math.isnan(seen) else {"validation": f"{seen:.1%}"}
                bar.set_postfix(loss=f"{row['train_loss']:.3f}", **shown, refresh=False)
                bar.update()
            if _gave_up(progress, settings) and progress.stage + 1 < len(stages):
                # The next stage copies only what it trains: all else must be what it began with.
                progress.weights = progress.best
                _load(model, progress.best)
            progress.stage, progress.epoch, progress.stale = progress.stage + 1, 0, 0


def _epoch(trainer: Trainer, progress: Progress, stage: Stage) -> dict:
    """Train for an epoch and look at validation, if it is time. Returns the row of the history."""
    started, number, settings = perf_counter(), len(progress.rows), trainer.settings
    loss, accuracy = trainer.train_epoch(stage, progress.epoch, number)
    in_stage = progress.epoch + 1
    look = in_stage % settings.validate_every == 0 or in_stage == stage.epochs
    seen = trainer.evaluate(trainer.domain.validation) if look else None
    row = {
        "epoch": number + 1,
        "stage": progress.stage + 1,
        "step": (progress.rows[-1]["step"] if number else 0) + trainer.steps_per_epoch,
        "freeze_depth": trainer.inputs.depth,
        "learning_rate": trainer.head_rate,
        "train_loss": loss,
        "train_accuracy": accuracy,
        "validation_loss": seen.loss if look else math.nan,
        "validation_accuracy": seen.accuracy if look else math.nan,
    }
    if settings.score_column not in row:
        row[settings.score_column] = seen.balanced_accuracy if look else math.nan
    return {**row, "seconds": perf_counter() - started}


def _gave_up(progress: Progress, settings: Settings) -> bool:
    return settings.patience is not None and progress.stale >= settings.patience


def _settle(model: LayerGroups, weights: dict[str, torch.Tensor]) -> None:
    """Leave the network ready for use: with these weights, in evaluation mode, without gradients."""
    _load(model, weights)
    model.zero_grad(set_to_none=True)
    model.eval()


def _load(model: LayerGroups, weights: dict[str, torch.Tensor]) -> None:
    state = model.state_dict()  # with the version of each module, which some ask for
    state.update(weights)
    model.load_state_dict(state)
