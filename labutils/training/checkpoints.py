"""Where a training run stands, in memory and on disk, so that an interrupted run goes on exactly."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from labutils.networks.adapters import is_adapter
from labutils.networks.groups import LayerGroups
from labutils.runtime.files import atomic_write
from labutils.training.trainer import Trainer

FORMAT = 2
LAST_EPOCHS = "epochs of the last stage"


@dataclass
class Progress:
    """The history of a run, what comes next, and the weights worth going back to.

    Random generators need no place here: every draw is a function of the seed and the epoch.
    """

    weights: dict[str, torch.Tensor]  # after the last whole epoch
    best: dict[str, torch.Tensor]  # after the best epoch
    rows: list[dict] = field(default_factory=list)
    stage: int = 0
    epoch: int = 0  # within the stage
    best_epoch: int = 0  # counted from 1 over all stages; 0 before the first look
    best_score: tuple[float, float] = (-1.0, 0.0)
    stale: int = 0  # looks at validation since the best one
    stopped: bool = False

    @classmethod
    def start(cls, model: LayerGroups) -> "Progress":
        weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        return cls(weights, weights)

    def note(self, row: dict, model: LayerGroups, score: str) -> None:
        """Add an epoch, scored by a column of its row. Only groups behind the frozen prefix are copied: it has not moved.

        A group that is not trained may have moved, too: BatchNorm without weights has statistics all the same.
        """
        fresh = {
            f"{group}.{name}": tensor.detach().clone()
            for group in model.names[model.freeze_depth :]
            for name, tensor in getattr(model, group).state_dict().items()
        }
        self.weights = {**self.weights, **fresh}
        self.rows.append(row)
        self.epoch += 1
        if math.isnan(row["validation_loss"]):
            return  # not looked at in this epoch
        found = (row[score], -row["validation_loss"])
        if found > self.best_score:
            self.best, self.best_score, self.best_epoch, self.stale = self.weights, found, row["epoch"], 0
        else:
            self.stale += 1

    def kept(self, best: bool) -> tuple[dict[str, torch.Tensor], int]:
        """The weights to end with and their epoch: the best ones if so wanted and any were looked at, else the last."""
        return (self.best, self.best_epoch) if best and self.best_epoch else (self.weights, len(self.rows))


def identity(trainer: Trainer) -> dict:
    """All that a run's numbers depend on, by name. Only the epochs of its last stage may grow from one start to the next."""
    model, domain, extra = trainer.model, trainer.domain, trainer.extra
    groups = trainer.optimizer.param_groups
    *before, last = [
        [tuple(stage.groups), stage.weights, stage.base_lr, stage.epochs] for stage in trainer.stages
    ]
    return {
        "settings": replace(trainer.settings, epochs=1).digest,  # the plan has the epochs
        "plan": repr([*before, last[:-1]]),
        LAST_EPOCHS: last[-1],
        "pictures": [domain.fingerprint, domain.train.tolist(), domain.validation.tolist()],
        "backbone": model.backbone,
        "head": repr(model.head),  # tells outputs and dropout
        "adapters": [
            (name, *weights.shape) for name, weights in model.named_parameters() if is_adapter(name)
        ],
        "start": "pretrained" if model.stored_statistics else "random",
        "optimizer": repr(
            (
                type(trainer.optimizer).__name__,
                [sorted((k, v) for k, v in group.items() if k not in ("params", "lr")) for group in groups],
            )
        ),
        "rates": trainer.rates,
        "extra loss": extra and extra.identity,
    }


def save_checkpoint(path: str | Path, run: dict, progress: Progress, trainer: Trainer) -> None:
    """Write all that is needed to go on, with the run's `identity`; the file is whole or the older one stays."""
    content = {
        "format": FORMAT,
        "identity": run,
        "progress": vars(progress),
        "optimizer": trainer.optimizer.state_dict(),
        "scaler": trainer.scaler.state_dict(),
    }
    with atomic_write(path) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # so torch reports a disk that is full
            raise OSError(str(error).splitlines()[0]) from error


def load_checkpoint(path: str | Path, run: dict, trainer: Trainer) -> Progress | None:
    """Put model, optimizer and scaler where the run at ``path`` stood, if its `identity` is ``run``; None if there is none.

    Raises
    ------
    ValueError
        When the file is damaged or belongs to another run, or to one with a longer last stage; it is left as it is.
    """
    path = Path(path)
    if not path.exists():
        return None
    if path.is_dir():
        raise ValueError(f"{path} is a folder: give the checkpoint the name of a file")
    remedy = f"Delete {path} to start anew, or give another name"
    try:
        stored = torch.load(path, map_location=trainer.device, weights_only=True)
    except Exception as error:
        raise ValueError(f"{path} is not a complete checkpoint ({type(error).__name__}). {remedy}") from error
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise ValueError(f"{path} was made by another version of the lab. {remedy}")
    made_by = stored.get("identity") or {}
    if made_by.get(LAST_EPOCHS, 0) < run[LAST_EPOCHS]:
        made_by = {**made_by, LAST_EPOCHS: run[LAST_EPOCHS]}  # it may be trained on
    other = [name for name, value in run.items() if made_by.get(name) != value]
    if other:
        raise ValueError(f"{path} belongs to a run with other {', '.join(other)}. {remedy}")
    progress = Progress(**stored["progress"])
    trainer.model.load_state_dict(progress.weights)
    trainer.optimizer.load_state_dict(stored["optimizer"])
    trainer.scaler.load_state_dict(stored["scaler"])
    return progress
