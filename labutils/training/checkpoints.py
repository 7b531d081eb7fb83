"""Where a training run stands, in memory and on disk, so that an interrupted run goes on exactly."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch

from labutils.networks.groups import LayerGroups
from labutils.runtime.files import whole_file

FORMAT = 1


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
    best_score: tuple[float, float] = (-1.0, 0.0)
    stale: int = 0  # looks at validation since the best one
    stopped: bool = False

    @classmethod
    def start(cls, model: LayerGroups) -> "Progress":
        weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        return cls(weights, weights)

    def note(self, row: dict, model: LayerGroups, trained: tuple[str, ...]) -> None:
        """Add an epoch. Only the trained groups are copied; the others have not moved."""
        fresh = {
            f"{group}.{name}": tensor.detach().clone()
            for group in trained
            for name, tensor in getattr(model, group).state_dict().items()
        }
        self.weights = {**self.weights, **fresh}
        self.rows.append(row)
        self.epoch += 1
        if math.isnan(row["validation_loss"]):
            return  # not looked at in this epoch
        score = (row["validation_accuracy"], -row["validation_loss"])
        if score > self.best_score:
            self.best, self.best_score, self.stale = self.weights, score, 0
        else:
            self.stale += 1


def save_checkpoint(path: str | Path, identity: dict, progress: Progress, optimizer, scaler) -> None:
    """Write all that is needed to go on; the file is whole or the older one stays."""
    content = {
        "format": FORMAT,
        "identity": identity,
        "progress": vars(progress),
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict(),
    }
    with whole_file(path) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # so torch reports a disk that is full
            raise OSError(str(error).splitlines()[0]) from error


def load_checkpoint(
    path: str | Path, identity: dict, model: LayerGroups, optimizer, scaler
) -> Progress | None:
    """Put model, optimizer and scaler where the run at ``path`` stood; None if there is no such file.

    Raises
    ------
    ValueError
        When the file is damaged or belongs to another run; it is left as it is.
    """
    path = Path(path)
    if not path.exists():
        return None
    remedy = f"Delete {path} to start anew, or give another name"
    try:
        stored = torch.load(path, map_location=next(model.parameters()).device, weights_only=True)
    except Exception as error:
        raise ValueError(f"{path} is not a whole checkpoint ({type(error).__name__}). {remedy}") from error
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise ValueError(f"{path} was made by another version of the lab. {remedy}")
    made_by = stored.get("identity") or {}
    other = [name for name, value in identity.items() if made_by.get(name) != value]
    if other:
        raise ValueError(f"{path} belongs to a run with other {', '.join(other)}. {remedy}")
    progress = Progress(**stored["progress"])
    model.load_state_dict(progress.weights)
    optimizer.load_state_dict(stored["optimizer"])
    scaler.load_state_dict(stored["scaler"])
    return progress
