"""Learning rates per group: deep groups learn fast, shallow groups slowly; norms and biases do not decay."""

import math
from collections.abc import Iterable, Sequence
from numbers import Real

import torch
from torch import nn

from labutils.networks.freezing import NORMS
from labutils.networks.groups import LayerGroups


def group_rates(model: LayerGroups, base_lr: float, decay: float = 3.0) -> dict[str, float]:
    """η_k = η_base / decay^(L − k) for group k = 0 … L, where L is the head.

    Examples
    --------
    >>> from torch import nn
    >>> net = LayerGroups({"stem": nn.Linear(1, 1), "layer1": nn.Linear(1, 1), "head": nn.Linear(1, 1)})
    >>> group_rates(net, 0.9, decay=3.0)
    {'stem': 0.1, 'layer1': 0.3, 'head': 0.9}
    """
    last = len(model) - 1
    # Rounding to 12 digits keeps 0.9 / 9 from reading 0.09999999999999999 in the tables.
    return {name: float(f"{base_lr / decay ** (last - k):.12g}") for k, name in enumerate(model.names)}


def discriminative_lr_optimizer(
    model: LayerGroups,
    base_lr: float | Sequence[float] = 1e-3,
    decay: float = 3.0,
    weight_decay: float = 1e-4,
) -> torch.optim.AdamW:
    """AdamW with one learning rate per layer group.

    Every group is in the optimizer from the start, frozen or not: a frozen parameter has no gradient and is
    skipped, so unfreezing needs no new optimizer and breaks no scheduler.

    Parameters
    ----------
    model : LayerGroups
    base_lr : float or sequence of float, default 1e-3
        Rate of the head; or one rate for each group, shallow to deep, such as (1e-5, 3e-5, 1e-4, 3e-4, 1e-3).
    decay : float, default 3.0
        How many times slower each group learns than the one after it, at least 1. timm's ``layer_decay`` is
        1 / decay. Not used with explicit rates.
    weight_decay : float, default 1e-4
        Decoupled decay (Loshchilov and Hutter 2019). Norm parameters and biases get none, in every group.

    Returns
    -------
    torch.optim.AdamW
        Parameter groups carry ``name`` (layer group), ``lr`` and ``weight_decay``.

    Raises
    ------
    ValueError
        A rate, decay or weight decay out of range, or a list of rates of another length than the groups.

    Notes
    -----
    Howard and Ruder 2018, ULMFiT, section 3.2, "discriminative fine-tuning" (there the decay is 2.6).
    """
    if isinstance(base_lr, Iterable) and not isinstance(base_lr, str):
        base_lr = list(base_lr)
        if len(base_lr) != len(model):
            raise ValueError(
                f"{len(base_lr)} rates for {len(model)} groups: give one each for {', '.join(model.names)}"
            )
        rates = dict(zip(model.names, map(float, base_lr), strict=True))
    else:
        if not (isinstance(decay, Real) and math.isfinite(decay) and decay >= 1):
            raise ValueError(
                f"decay={decay!r} is out of range: use 1 (one rate for all) or more; timm's layer_decay is 1 / decay"
            )
        if not isinstance(base_lr, Real):
            raise ValueError(f"base_lr={base_lr!r}: use a number, or a list of one for each group")
        rates = group_rates(model, base_lr, decay)
    for name, rate in rates.items():
        if not (math.isfinite(rate) and rate > 0):
            raise ValueError(
                f"The rate of {name} is {rate}: use a number above 0; freeze a group to keep it still"
            )
    if not (isinstance(weight_decay, Real) and 0 <= weight_decay < 1):
        raise ValueError(f"weight_decay={weight_decay!r} is out of range: use 0 up to, not including, 1")

    parameter_groups, seen = [], set()
    of_norms = {id(p) for module in model.modules() if isinstance(module, NORMS) for p in module.parameters()}
    for name, group in reversed(list(model.named_groups())):
        decayed, exempt = [], []
        for parameter in group.parameters():
            if id(parameter) in seen:  # shared with a group nearer to the head, whose rate it has
                continue
            seen.add(id(parameter))
            # Matrices and filters decay; anything one-dimensional is a bias or belongs to a norm, as some larger ones do.
            decays = parameter.ndim > 1 and id(parameter) not in of_norms
            (decayed if decays else exempt).append(parameter)
        parameter_groups[:0] = [
            {"params": parameters, "name": name, "lr": rates[name], "weight_decay": amount}
            for parameters, amount in ((decayed, weight_decay), (exempt, 0.0))
            if parameters
        ]
    return torch.optim.AdamW(parameter_groups)


def require_held(
    optimizer: torch.optim.Optimizer, model: LayerGroups, weights: dict[str, nn.Parameter]
) -> None:
    """Raise ValueError unless the optimizer holds each of ``weights``, by identity, of the groups of ``model``."""
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    lacking = [name.partition(".")[0] for name, parameter in weights.items() if id(parameter) not in held]
    if not lacking:
        return
    remedy = (
        "create a new one with discriminative_lr_optimizer(model), which holds every group from the start"
    )
    if held.isdisjoint(map(id, model.parameters())):
        raise ValueError(
            f"The optimizer belongs to another network and would train nothing of this one: {remedy}"
        )
    counts = ", ".join(f"{lacking.count(name)} weights of {name}" for name in dict.fromkeys(lacking))
    raise ValueError(f"The optimizer does not hold {counts}, which this run is to train: {remedy}")


def head_place(optimizer: torch.optim.Optimizer, model: LayerGroups) -> int:
    """Which of the optimizer's parameter groups holds the head, or else the weights nearest to it."""
    places = {id(p): i for i, group in enumerate(optimizer.param_groups) for p in group["params"]}
    nearest_first = (parameter for group in reversed(list(model)) for parameter in group.parameters())
    return next(places[id(parameter)] for parameter in nearest_first if id(parameter) in places)


def rate_table(optimizer: torch.optim.Optimizer) -> list[dict]:
    """Rows with name, rate, weight decay, tensors and trainable tensors of each parameter group."""
    return [
        {
            "group": group["name"],
            "learning rate": group["lr"],
            "weight decay": group["weight_decay"],
            "tensors": len(group["params"]),
            "trained": sum(parameter.requires_grad for parameter in group["params"]),
        }
        for group in optimizer.param_groups
    ]


def trainable_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that the next optimizer step may move."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
