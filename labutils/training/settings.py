"""How a run is trained: one frozen dataclass, so that settings travel whole and can be stored beside results."""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from labutils.runtime.checks import is_whole
from labutils.runtime.seeds import checked_seed, default_seed

AUGMENTATIONS = ("flip", "vertical_flip", "quarter_turns", "crop", "jitter")
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SCHEDULES = ("cosine", "constant")
SCORES = ("accuracy", "balanced accuracy")
# Settings that came later: at their defaults they leave the digest, and so the names of stored results, as it was.
ADDED = {"class_weights": None, "label_smoothing": 0.0, "select_by": "accuracy"}


@dataclass(frozen=True)
class Settings:
    """Everything `fit` needs to know besides the model and the pictures.

    Parameters
    ----------
    epochs : int, default 10
        Passes over the training pictures (a plan of stages brings its own).
    batch_size : int, default 32
        Pictures per optimizer step.
    base_lr : float, default 1e-3
        Learning rate of the head, η_base; per step, before the schedule.
    lr_decay : float, default 3.0
        Each group further from the head learns this many times slower. 1 gives one rate for all.
    weight_decay : float, default 1e-4
        Decoupled weight decay (AdamW); norm and bias parameters are exempt.
    schedule : {"cosine", "constant"}, default "cosine"
        Shape of the rate over a stage: 10 % linear warm-up then half a cosine down to 0, or flat.
    augmentation : tuple of str, default ()
        Any of "flip", "vertical_flip", "quarter_turns", "crop", "jitter"; drawn anew for every picture.
    views : int, default 4
        How many augmented views of each picture the activation cache holds while a prefix is frozen.
    keep_best : bool, default True
        End with the weights of the best validation epoch instead of the last.
    select_by : {"accuracy", "balanced accuracy"}, default "accuracy"
        Of the validation pictures: what ``keep_best`` and ``patience`` go by, the loss deciding among equals. Balanced
        accuracy is the mean recall of the classes: the score to take where one class is rare.
    class_weights : "balanced", sequence of float, dict of class name to float, or None, default None
        How much a picture of each class weighs in the training loss, above 0. "balanced" lets all classes weigh the
        same, however many training pictures they have. The validation loss stays unweighted.
    label_smoothing : float, default 0
        Share of each label that is spread over all classes in the training loss, from 0 to below 1 (Szegedy et al.
        2016, "Rethinking the Inception architecture for computer vision", section 7).
    validate_every : int, default 1
        Epochs between looks at the validation pictures; the last epoch of a stage is always looked at.
    patience : int or None, default None
        End a stage after this many looks at the validation pictures without a better score.
    accumulate : int, default 1
        Compute each batch in this many parts, to save memory. The step is the same where each picture is computed on
        its own; it is *not* where BatchNorm uses batch statistics (random weights, a new BatchNorm in the head): each
        part is then normalised by itself.
    precision : {"float32", "bfloat16", "float16"}, default "float32"
        Type of the activations (autocast); weights stay in float32.
    gradient_checkpointing : bool, default False
        Keep only group boundaries for the backward pass and recompute the rest (Chen et al. 2016).
    channels_last : bool, default True
        Memory order of feature maps; on two CPU cores 1.7 times faster for EfficientNet-Lite0 at 128 px.
    compile : bool, default False
        Compile the trainable groups with `torch.compile` (needs a C++ compiler on CPU).
    cache_limit_gb : float, default 1.0
        Memory (GB) that cached activations may take; beyond it they go to disk, or are recomputed.
    seed : int, default 0, or the variable LAB_SEED
        Every random choice of a run is a function of this seed and the epoch; from 0 to 2³² − 1, as NumPy takes them.
    device : str or None, default None
        "cuda", "mps" or "cpu"; None chooses (see `pick_device`).

    Raises
    ------
    ValueError
        On a value out of range; the message names the allowed ones.

    Examples
    --------
    >>> Settings(epochs=3).base_lr
    0.001
    """

    epochs: int = 10
    batch_size: int = 32
    base_lr: float = 1e-3
    lr_decay: float = 3.0
    weight_decay: float = 1e-4
    schedule: str = "cosine"
    augmentation: tuple[str, ...] = ()
    views: int = 4
    keep_best: bool = True
    select_by: str = "accuracy"
    class_weights: str | tuple | None = None
    label_smoothing: float = 0.0
    validate_every: int = 1
    patience: int | None = None
    accumulate: int = 1
    precision: str = "float32"
    gradient_checkpointing: bool = False
    channels_last: bool = True
    compile: bool = False
    cache_limit_gb: float = 1.0
    seed: int = field(default_factory=default_seed)
    device: str | None = None

    def __post_init__(self):
        for name in ("epochs", "batch_size", "views", "accumulate", "validate_every"):
            _require(lambda n: is_whole(n) and n >= 1, name, self, "a whole number from 1")
            # Equal numbers of other types, such as NumPy's, are written otherwise in the digest; so below.
            object.__setattr__(self, name, int(getattr(self, name)))
        _require(
            lambda n: n is None or (is_whole(n) and n >= 1), "patience", self, "None or a whole number from 1"
        )
        if self.patience is not None:
            object.__setattr__(self, "patience", int(self.patience))
        object.__setattr__(self, "seed", checked_seed(self.seed))
        _require(lambda rate: 0 < rate < 100, "base_lr", self, "above 0 and below 100 (1e-3 is usual)")
        _require(lambda decay: 1 <= decay <= 1000, "lr_decay", self, "from 1 (one rate for all) to 1000")
        _require(lambda decay: 0 <= decay < 1, "weight_decay", self, "from 0 to below 1")
        _require(lambda gb: 0 <= gb < 1e6, "cache_limit_gb", self, "0 (never cache) or more")
        _require(lambda kind: kind in SCHEDULES, "schedule", self, f"one of {SCHEDULES}")
        _require(lambda kind: kind in PRECISIONS, "precision", self, f"one of {tuple(PRECISIONS)}")
        _require(lambda kind: kind in SCORES, "select_by", self, f"one of {SCORES}")
        _require(lambda share: 0 <= share < 1, "label_smoothing", self, "from 0 to below 1 (0.1 is usual)")
        _require(
            _weighs_classes,
            "class_weights",
            self,
            '"balanced", or a number above 0 a class, in order or by name',
        )
        if not (self.class_weights is None or isinstance(self.class_weights, str)):
            object.__setattr__(self, "class_weights", _by_class(self.class_weights))
        for name in ("keep_best", "gradient_checkpointing", "channels_last", "compile"):
            _require(lambda value: value in (True, False), name, self, "True or False")
            object.__setattr__(self, name, bool(getattr(self, name)))
        for name in ("base_lr", "lr_decay", "weight_decay", "label_smoothing", "cache_limit_gb"):
            object.__setattr__(self, name, float(getattr(self, name)))
        _require(
            lambda names: not isinstance(names, str) and set(names) <= set(AUGMENTATIONS),
            "augmentation",
            self,
            f"a tuple out of {AUGMENTATIONS}",
        )
        object.__setattr__(self, "augmentation", tuple(self.augmentation))
        _require(
            lambda name: name is None or isinstance(name, str), "device", self, "None or a name such as 'cpu'"
        )

    @property
    def score_column(self) -> str:
        """Column of the history that ``select_by`` means."""
        return f"validation_{self.select_by.replace(' ', '_')}"

    @property
    def digest(self) -> str:
        """Short name that differs when any setting that can change a result differs."""
        described = {
            name: value
            for name, value in asdict(self).items()
            if name not in ("device", "cache_limit_gb") and not (name in ADDED and value == ADDED[name])
        }
        return hashlib.sha256(repr(sorted(described.items())).encode()).hexdigest()[:12]


def _by_class(given: Any) -> tuple:
    """Numbers, or pairs of name and number, as tuples: unlike a list or a dictionary they can be a key."""
    if isinstance(given, Mapping):
        given = sorted(given.items())
    return tuple((entry[0], float(entry[1])) if isinstance(entry, tuple) else float(entry) for entry in given)


def _weighs_classes(given: Any) -> bool:
    if given is None or isinstance(given, str):
        return given in (None, "balanced")
    numbers = [entry[1] if isinstance(entry, tuple) else entry for entry in _by_class(given)]
    return bool(numbers) and all(0 < number < math.inf for number in numbers)


def _require(holds: Callable[[Any], bool], name: str, settings: Settings, allowed: str) -> None:
    value = getattr(settings, name)
    try:
        good = holds(value)
    except (TypeError, ValueError):  # another kind of value, such as a text for a number
        good = False
    if not good:
        raise ValueError(f"{name}={value!r} is out of range: use {allowed}")
