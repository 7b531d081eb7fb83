"""What is trained and what stays as it was: blocks of groups, and some of their weights."""

from collections.abc import Iterable, Iterator, Sequence

from torch import nn

from labutils.networks.adapters import is_adapter
from labutils.networks.groups import BatchNorm, LayerGroups
from labutils.runtime.checks import is_whole

WEIGHTS = ("all", "norms", "biases", "adapters")
NORMS = (
    BatchNorm,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.RMSNorm,
)


def freeze_all_but(model: LayerGroups, names: Iterable[str], weights: str | Sequence[str] = "all") -> None:
    """Make exactly the groups in ``names`` trainable, or some of their ``weights`` only (see `Stage`).

    Newly frozen parameters lose their gradient: an optimizer skips parameters without one, so neither
    momentum nor weight decay can move them. Raises ValueError for a name the model does not have, and where
    adapters are to be trained and there are none.
    """
    chosen = set(map(id, chosen_parameters(model, names, weights).values()))
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in chosen)
        if not parameter.requires_grad:
            parameter.grad = None
    model.train(model.training)  # frozen groups into evaluation mode, thawed ones back


def require_weights(weights: str | Sequence[str]) -> None:
    """Raise ValueError where a word is none of `WEIGHTS`; names of weights come in a tuple."""
    if isinstance(weights, str) and weights not in WEIGHTS:
        raise ValueError(f"weights={weights!r}: use one of {WEIGHTS}, or a tuple of names of weights")


def chosen_parameters(
    model: LayerGroups, names: Iterable[str], weights: str | Sequence[str] = "all"
) -> dict[str, nn.Parameter]:
    """Name and parameter of all that `freeze_all_but` would leave trainable, shallow to deep; raises as it does."""
    require_weights(weights)
    if isinstance(names, str):
        raise ValueError(f"Give the names of groups in a tuple, such as ({names!r},)")
    names, weights = set(names), weights if isinstance(weights, str) else set(weights)
    unknown = names - set(model.names)
    if unknown:
        raise ValueError(
            f"No group called {', '.join(sorted(unknown))}; this network has {', '.join(model.names)}"
        )
    if weights == "adapters" and not any(is_adapter(name) for name, _ in model.named_parameters()):
        raise ValueError("This network has no adapters: call add_adapters(model) first")
    chosen = {
        f"{group}.{path}": parameter
        for group, module in model.named_groups()
        if group in names
        for path, parameter in _chosen(group, module, weights)
    }
    body = [name for name in model.names[:-1] if name in names]
    if weights in WEIGHTS[1:] and body and not any(name.partition(".")[0] != "head" for name in chosen):
        raise ValueError(f"There are no {weights} in {', '.join(body)}: only the head would be trained")
    if not isinstance(weights, str) and (unknown := weights - set(chosen)):
        raise ValueError(f"No weights called {', '.join(sorted(unknown))} in {', '.join(sorted(names))}")
    return chosen


def _chosen(group: str, module: nn.Module, weights: str | set[str]) -> Iterator[tuple[str, nn.Parameter]]:
    for path, part in module.named_modules():
        for name, parameter in part.named_parameters(recurse=False):
            own = f"{path}.{name}" if path else name
            if not isinstance(weights, str):
                taken = f"{group}.{own}" in weights
            else:
                taken = (
                    weights == "all"
                    or group == "head"
                    or (weights == "norms" and isinstance(part, NORMS))
                    or (weights == "biases" and name.endswith("bias"))  # attention's is in_proj_bias
                    or (weights == "adapters" and is_adapter(path))
                )
            if taken:
                yield own, parameter


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
