"""Plans: which groups are trained for how many epochs, in stages."""

import math
from dataclasses import dataclass
from numbers import Real

from labutils.networks.freezing import block, chosen_parameters, freeze_all_but, require_weights
from labutils.networks.groups import LayerGroups
from labutils.runtime.checks import is_whole

HOW = ("at once", "linear probe first", "progressively")


@dataclass(frozen=True)
class Stage:
    """Some epochs during which the same weights are trained.

    Parameters
    ----------
    groups : tuple of str
        Names of the trainable groups; all others are frozen.
    epochs : int
        Passes over the training pictures.
    base_lr : float
        Learning rate of the head in this stage; `fit` keeps the ratios between the groups.
    weights : {"all", "norms", "biases", "adapters"} or tuple of str, default "all"
        Which weights of those groups, and of the head all; or the names of exactly those to train, as in
        ``model.named_parameters()``.
    """

    groups: tuple[str, ...]
    epochs: int
    base_lr: float
    weights: str | tuple[str, ...] = "all"

    def __post_init__(self):
        if not (is_whole(self.epochs) and self.epochs >= 1):
            raise ValueError(f"{self}: a stage needs at least 1 epoch, in whole numbers")
        if not (isinstance(self.base_lr, Real) and 0 < self.base_lr < math.inf):
            raise ValueError(f"{self}: a stage needs a rate above 0, 1e-3 is usual")
        object.__setattr__(self, "epochs", int(self.epochs))  # NumPy's numbers are written otherwise
        object.__setattr__(self, "base_lr", float(self.base_lr))
        if isinstance(self.groups, str):
            raise ValueError(f"{self}: groups must be a tuple of names, such as ({self.groups!r},)")
        require_weights(self.weights)

    @classmethod
    def as_it_is(cls, model: LayerGroups, epochs: int, base_lr: float) -> "Stage":
        """Train exactly the weights that ask for a gradient now, whoever chose them and how."""
        weights = chosen_parameters(model, model.names)
        asking = tuple(name for name, parameter in weights.items() if parameter.requires_grad)
        return cls(model.trainable_names, epochs, base_lr, asking)

    def changes(self, model: LayerGroups) -> str:
        """What of the model this stage would thaw and freeze, in words; nothing where it is so already."""
        wanted = set(map(id, chosen_parameters(model, self.groups, self.weights).values()))
        changes = []
        for verb, change in (("thaws", True), ("freezes", False)):
            parts = []
            for name, group in model.named_groups():
                weights = list(group.parameters())
                moved = [p for p in weights if p.requires_grad != change and (id(p) in wanted) == change]
                if moved:
                    parts.append(name if len(moved) == len(weights) else f"{len(moved)} weights of {name}")
            if parts:
                changes.append(f"{verb} {', '.join(parts)}")
        return " and ".join(changes)


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
    5 0.0001 ('layer3', 'layer4', 'head')
    """
    if not isinstance(base_lr, Real):
        raise ValueError(f"base_lr={base_lr!r} must be a number, 1e-3 is usual")
    stages = plan(block(model, n, head=head), how, epochs, base_lr, weights)
    freeze_all_but(model, stages[0].groups, weights)
    return stages


def plan(
    groups: tuple[str, ...], how: str, epochs: int, base_lr: float, weights: str = "all"
) -> tuple[Stage, ...]:
    """The stages that unfreeze ``groups``, named from shallow to deep; arguments and errors as in `partial_finetune`."""
    if how not in HOW:
        raise ValueError(f"how={how!r}: use one of {HOW}")
    if not is_whole(epochs):
        raise ValueError(f"epochs={epochs!r} must be a whole number")
    if how == "at once":
        blocks, rates = [groups], [base_lr]
    elif how == "linear probe first":
        blocks, rates = [("head",), groups], [base_lr, base_lr / 10]
    else:
        # Deep end first: 1, 2, about half, and all of the block.
        sizes = sorted({size for size in (1, 2, (len(groups) + 2) // 2, len(groups)) if size <= len(groups)})
        blocks = [groups[-size:] for size in sizes]
        rates = [base_lr / 3**i for i in range(len(blocks))]
    if epochs < len(blocks):
        raise ValueError(
            f"epochs={epochs} is too few for the {len(blocks)} stages of {how!r}: use at least {len(blocks)}"
        )
    share, rest = divmod(epochs, len(blocks))
    return tuple(
        Stage(groups, share + (i < rest), rate, weights)
        for i, (groups, rate) in enumerate(zip(blocks, rates, strict=True))
    )
