"""What is trained and what stays as it was: blocks of groups, and plans that change the block in stages."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Real

from torch import nn

from labutils.adapters import is_adapter
from labutils.groups import BatchNorm, LayerGroups
from labutils.settings import is_whole

HOW = ("at once", "linear probe first", "progressively")
WEIGHTS = ("all", "norms", "biases", "adapters")
NORMS = (BatchNorm, nn.LayerNorm, nn.GroupNorm)


@dataclass(frozen=True)
class Stage:
    """Some epochs during which the same groups are trained.

    Parameters
    ----------
    groups : tuple of str
        Names of the trainable groups; all others are frozen.
    epochs : int
        Passes over the training pictures.
    base_lr : float
        Learning rate of the head in this stage; `fit` keeps the ratios between the groups.
    weights : {"all", "norms", "biases", "adapters"}, default "all"
        Which weights of those groups; of the head always all.
    """

    groups: tuple[str, ...]
    epochs: int
    base_lr: float
    weights: str = "all"

    def __post_init__(self):
        if not (is_whole(self.epochs) and self.epochs >= 1):
            raise ValueError(f"{self}: a stage needs at least 1 epoch, in whole numbers")
        if not (isinstance(self.base_lr, Real) and 0 < self.base_lr < math.inf):
            raise ValueError(f"{self}: a stage needs a rate above 0, 1e-3 is usual")
        if isinstance(self.groups, str):
            raise ValueError(f"{self}: groups must be a tuple of names, such as ({self.groups!r},)")
        if self.weights not in WEIGHTS:
            raise ValueError(f"weights={self.weights!r}: use one of {WEIGHTS}")


def freeze_all_but(model: LayerGroups, names: Iterable[str], weights: str = "all") -> None:
    """Make exactly the groups in ``names`` trainable, or some of their ``weights`` only (see `Stage`).

    Newly frozen parameters lose their gradient: an optimizer skips parameters without one, so neither
    momentum nor weight decay can move them. Raises ValueError for a name the model does not have, and where
    adapters are to be trained and there are none.
    """
    names = set(names)
    unknown = names - set(model.names)
    if unknown:
        raise ValueError(
            f"No group called {', '.join(sorted(unknown))}; this network has {', '.join(model.names)}"
        )
    if weights == "adapters" and not any(is_adapter(name) for name, _ in model.named_parameters()):
        raise ValueError("This network has no adapters: call add_adapters(model) first")
    for name, group in model.named_children():
        group.requires_grad_(False)
        if name in names:
            for parameter in _chosen(group, "all" if name == "head" else weights):
                parameter.requires_grad_(True)
    for parameter in model.parameters():
        if not parameter.requires_grad:
            parameter.grad = None
    model.train(model.training)  # frozen groups into evaluation mode, thawed ones back


def _chosen(group: nn.Module, weights: str) -> Iterator[nn.Parameter]:
    for path, module in group.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if (
                weights == "all"
                or (weights == "norms" and isinstance(module, NORMS))
                or (weights == "biases" and name == "bias")
                or (weights == "adapters" and is_adapter(path))
            ):
                yield parameter


def block(model: LayerGroups, groups: int | str | tuple[str, str], *, head: bool = True) -> tuple[str, ...]:
    """Names of a contiguous block of groups.

    Parameters
    ----------
    groups : int, str or (str, str)
        The last n groups (the head is the first of them), one group, or the first and last of a block.
    head : bool, default True
        Add the head, which is new and must learn, to a block that does not reach it.

    Raises
    ------
    ValueError
        n out of range, an unknown name, or a block whose end comes before its beginning.
    """
    names = model.names
    if is_whole(groups):
        if not 1 <= groups <= len(names):
            raise ValueError(
                f"n={groups} is out of range: {model.backbone or 'this network'} has {len(names)} groups, so use 1 to {len(names)}"
            )
        return names[-groups:]
    if isinstance(groups, str):
        groups = (groups, groups)
    if not (isinstance(groups, Sequence) and len(groups) == 2):
        raise ValueError(f"n={groups!r}: use a whole number, one name, or the first and last name of a block")
    first, last = groups
    for name in (first, last):
        if name not in names:
            raise ValueError(f"No group called {name!r}; this network has {', '.join(names)}")
    start, stop = names.index(first), names.index(last) + 1
    if start >= stop:
        raise ValueError(f"The block ends before it begins: {first} comes after {last}")
    chosen = names[start:stop]
    return chosen if "head" in chosen or not head else (*chosen, "head")


def partial_finetune(
    model: LayerGroups,
    n: int | str | tuple[str, str] = 2,
    *,
    how: str = "at once",
    epochs: int = 10,
    base_lr: float = 1e-3,
    head: bool = True,
    weights: str = "all",
) -> tuple[Stage, ...]:
    """Unfreeze a block of groups now, or make a plan that unfreezes it in stages.

    Parameters
    ----------
    model : LayerGroups
        Changed in place: it is left as the first stage of the plan wants it.
    n : int, str or (str, str), default 2
        The last n groups counted from the head; or one group; or the first and last group of a block, such
        as ``("stem", "layer2")`` for a shift of the input (Lee et al. 2023, "Surgical fine-tuning").
    how : {"at once", "linear probe first", "progressively"}, default "at once"
        - "at once": one stage.
        - "linear probe first": half of the epochs on the head alone, then the block at a tenth of the rate
          (Kumar et al. 2022, "Fine-tuning can distort pretrained features", LP-FT).
        - "progressively": head, then ever more groups from the deep end, each stage at a third of the rate
          before (Howard and Ruder 2018, ULMFiT section 3.3, "gradual unfreezing"); at most four stages.
    epochs : int, default 10
        In all stages together.
    base_lr : float, default 1e-3
        Rate of the head in the first stage.
    head : bool, default True
        Train the head along with a block that does not reach it.
    weights : {"all", "norms", "biases", "adapters"}, default "all"
        Which weights of the unfrozen groups, those of the head always: all; the scales and shifts of the norms (Frankle
        et al. 2021, "Training BatchNorm and only BatchNorm"); the biases (Ben Zaken et al. 2022, "BitFit"); or
        the adapters that `add_adapters` put in.

    Returns
    -------
    tuple of Stage
        To be given to `fit`; edit it with `dataclasses.replace`.

    Raises
    ------
    ValueError
        n out of range, unknown names, unknown ``how`` or ``weights``, no adapters, or fewer epochs than stages.

    Examples
    --------
    >>> from labutils import build_feature_extractor
    >>> model = build_feature_extractor("efficientnet_lite0", num_classes=2)
    >>> for stage in partial_finetune(model, 3, how="linear probe first", epochs=10):
    ...     print(stage.epochs, stage.base_lr, stage.groups)
    5 0.001 ('head',)
    5 0.0001 ('layer6', 'layer7', 'head')
    """
    if how not in HOW:
        raise ValueError(f"how={how!r}: use one of {HOW}")
    if not is_whole(epochs):
        raise ValueError(f"epochs={epochs!r} must be a whole number")
    if not isinstance(base_lr, Real):
        raise ValueError(f"base_lr={base_lr!r} must be a number, 1e-3 is usual")
    target = block(model, n, head=head)
    if how == "at once":
        blocks, rates = [target], [base_lr]
    elif how == "linear probe first":
        blocks, rates = [("head",), target], [base_lr, base_lr / 10]
    else:
        # Deep end first: 1, 2, about half, and all of the block.
        sizes = sorted({size for size in (1, 2, (len(target) + 2) // 2, len(target)) if size <= len(target)})
        blocks = [target[-size:] for size in sizes]
        rates = [base_lr / 3**i for i in range(len(blocks))]
    if epochs < len(blocks):
        raise ValueError(
            f"epochs={epochs} is too few for the {len(blocks)} stages of {how!r}: use at least {len(blocks)}"
        )
    share, rest = divmod(epochs, len(blocks))
    stages = tuple(
        Stage(groups, share + (i < rest), rate, weights)
        for i, (groups, rate) in enumerate(zip(blocks, rates, strict=True))
    )
    freeze_all_but(model, stages[0].groups, weights)
    return stages
