"""Layers of torch.nn as plain data and back, so that a file of numbers can say what a head is made of."""

import inspect
from typing import Any

from torch import Tensor, nn


class NotDescribed(ValueError):
    """A module of one's own, which only its own code can make again."""


def describe(module: nn.Module) -> dict[str, Any]:
    """Kind, arguments and children of a module, ready for JSON.

    Every layer of torch.nn whose arguments are kept as attributes of the same names can be described: Linear, Conv2d,
    BatchNorm, LayerNorm, Dropout, all activations, and Sequential of these.

    Raises
    ------
    NotDescribed
        For any other module; the message names its class.

    Examples
    --------
    >>> describe(nn.Dropout(0.2))
    {'layer': 'Dropout', 'arguments': {'p': 0.2, 'inplace': False}}
    """
    name = type(module).__name__
    if getattr(nn, name, None) is not type(module):
        raise NotDescribed(f"{name} is not a layer of torch.nn")
    if type(module) is nn.Sequential:
        return {"layer": name, "children": [[key, describe(child)] for key, child in module.named_children()]}
    arguments = {}
    for argument in inspect.signature(type(module)).parameters:
        if argument in ("device", "dtype"):
            continue
        value = getattr(module, argument, ...)
        if argument == "bias" and not isinstance(value, bool):  # given as a switch, kept as weights or None
            value = value is not None
        if not _is_plain(value):
            raise NotDescribed(f"torch.nn.{name} does not keep its argument {argument!r}")
        arguments[argument] = value
    description = {"layer": name, "arguments": arguments}
    if _facts(rebuild(description)) != _facts(module):
        raise NotDescribed(f"this torch.nn.{name} was changed after it was made")
    return description


def rebuild(description: dict[str, Any]) -> nn.Module:
    """The module of a description, with fresh weights.

    Only classes that torch.nn itself defines are made, so a stranger's file cannot name anything else.
    """
    kind = getattr(nn, str(description["layer"]), None)
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise NotDescribed(f"torch.nn has no layer {description['layer']!r}")
    if kind is nn.Sequential:
        made = nn.Sequential()
        for key, child in description["children"]:
            made.add_module(key, rebuild(child))
        return made
    return kind(**description["arguments"])


def _facts(module: nn.Module) -> tuple:
    return repr(module), {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str) and not isinstance(value, Tensor)
