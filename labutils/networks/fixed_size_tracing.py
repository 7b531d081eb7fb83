"""Tracing for pictures of one size: every size in the code is then a number, and more networks can be followed."""

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import fx, nn
from torch.fx import _symbolic_trace as patched

from labutils.networks.tracing import Address, Tracer

COUNTS = (1, 2)  # pictures; what is the same for both does not depend on how many there are


class KnownProxy(fx.Proxy):
    """A proxy that knows its value for each of the `COUNTS`, and so its shape, its length and what it is made of."""

    values: tuple

    @property
    def shape(self) -> tuple[int | fx.Proxy, ...]:
        return tuple(map(self.tracer.size, *(value.shape for value in self.values)))

    def size(self, dim: int | None = None):
        return self.shape if dim is None else self.shape[dim]

    def __getattr__(self, name: str):
        if callable(getattr(self.values[0], name)):
            return super().__getattr__(name)
        return self.tracer.create_proxy("call_function", getattr, (self, name), {})

    def __len__(self) -> int:
        return len(self.values[0])

    def __iter__(self) -> Iterator:
        return (self[i] for i in range(len(self)))


class FixedSizeTracer(Tracer):
    """Runs what it records. Numbers that do not depend on the pictures are constants of the graph.

    How many pictures there are is a node with ``meta["count"]``, the only number that is not known.

    Parameters
    ----------
    pictures : Tensor of shape (2, 3, H, W)
        Of the size, type and device that the network is traced for.
    whole :
        See `Tracer`.
    """

    def __init__(self, pictures: torch.Tensor, whole: Callable[[Address], bool] = lambda address: False):
        super().__init__(whole)
        self.pictures = tuple(pictures[:count] for count in COUNTS)
        self.count = None

    def proxy(self, node: fx.Node) -> KnownProxy:
        return KnownProxy(node, self)

    def size(self, *of_counts: int) -> int | fx.Proxy:
        """A number, or so many times the number of pictures."""
        if of_counts[0] == of_counts[1]:
            return of_counts[0]
        times = of_counts[0] // COUNTS[0]
        if of_counts != tuple(times * count for count in COUNTS):
            raise ValueError(
                f"a size is {of_counts[0]} for {COUNTS[0]} pictures and {of_counts[1]} for {COUNTS[1]}"
            )
        if times == 1:
            return self.count
        return self._step("call_function", operator.mul, (self.count, times), {}, None)

    def _step(self, kind, target, args, kwargs, address, *rest, **options):
        proxy = super()._step(kind, target, args, kwargs, address, *rest, **options)
        proxy.values = tuple(self._value(i, kind, target, args, kwargs) for i in range(len(COUNTS)))
        if kind == "placeholder":
            self.count = super()._step("call_method", "size", (proxy, 0), {}, None)
            self.count.values, self.count.node.meta["count"] = COUNTS, True
        elif kind != "output" and _is_plain(proxy.values[0]) and proxy.values[0] == proxy.values[1]:
            self.graph.erase_node(proxy.node)
            return proxy.values[0]
        return proxy

    def _value(self, i: int, kind: str, target, args, kwargs):
        if kind == "placeholder":
            return self.pictures[i]
        args, kwargs = fx.node.map_aggregate(
            (args, kwargs), lambda each: each.values[i] if isinstance(each, fx.Proxy) else each
        )
        with _not_recorded():
            if kind == "get_attr":
                return operator.attrgetter(target)(self.root)
            if kind == "call_module":
                return self.root.get_submodule(target)(*args, **kwargs)
            if kind == "call_method":
                return getattr(args[0], target)(*args[1:], **kwargs)
            return target(*args, **kwargs) if kind == "call_function" else None


@contextmanager
def _not_recorded() -> Iterator[None]:
    """Modules are called as they are outside of a trace."""
    recorded = nn.Module.__call__, nn.Module.__getattr__
    nn.Module.__call__, nn.Module.__getattr__ = patched._orig_module_call, patched._orig_module_getattr
    try:
        yield
    finally:
        nn.Module.__call__, nn.Module.__getattr__ = recorded


def _is_plain(value) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, int | float | str)  # devices and dtypes may change later
