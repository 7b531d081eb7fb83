"""What a network computes, step by step, and through which values everything flows."""

import math
import operator
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import fx, nn
from torch.nn import functional as F

Address = tuple[float, ...]


class Tracer(fx.Tracer):
    """Records what is computed, each step with its address: 3rd step of the network, 1st of that module, …

    A module for which ``whole(address)`` is true is one step, as is one without parts and one that Python cannot
    be followed into, because its steps depend on numbers that are not known before it runs.
    """

    def __init__(self, whole: Callable[[Address], bool] = lambda address: False):
        modules, functions = _not_to_be_traced()
        super().__init__(autowrap_modules=modules, autowrap_functions=functions)
        self.whole, self.address, self.steps = whole, (), [0]

    def create_args_for_root(self, forward, is_module, concrete_args=None):
        # The pictures alone: whatever else the network could take keeps its default.
        return forward, [self.root, self.create_proxy("placeholder", "pictures", (), {})]

    def is_leaf_module(self, module: nn.Module, path: str) -> bool:
        whole = super().is_leaf_module(module, path) or not any(True for _ in module.children())
        return whole or isinstance(module, _modules_of_timm())

    def call_module(self, module, forward, args, kwargs):
        address = self.next_address()
        path = self.path_of_module(module)
        if not (self.is_leaf_module(module, path) or self.whole(address)):
            outer = self.address
            self.address, depth = address, len(self.steps)
            self.steps.append(0)
            try:
                return forward(*args, **kwargs)
            except Exception:  # whatever its code does with a value that is not there yet
                pass
            finally:
                self.address = outer
                del self.steps[depth:]
        return self._step("call_module", path, args, kwargs, address)

    def create_proxy(self, kind, target, args, kwargs, *rest, **options):
        return self._step(kind, target, args, kwargs, self._address_of(kind, target), *rest, **options)

    def next_address(self) -> Address:
        self.steps[-1] = math.floor(self.steps[-1]) + 1
        return (*self.address, self.steps[-1])

    def _address_of(self, kind: str, target) -> Address | None:
        if kind in ("get_attr", "placeholder", "output"):
            return None  # a weight is read where it is first used, which differs between traces
        if target is operator.getitem:  # taking a tuple apart is a step only where the module is one
            self.steps[-1] += 2**-10
            return (*self.address, self.steps[-1])
        return self.next_address()

    def _step(self, kind, target, args, kwargs, address, *rest, **options):
        proxy = super().create_proxy(kind, target, args, kwargs, *rest, **options)
        proxy.node.meta["address"] = address
        return proxy


def trace(network: nn.Module, tracer: Tracer) -> fx.Graph:
    """The steps of ``network``, in the mode that it is in, that its output depends on.

    Raises ValueError, with the line of code, where Python cannot be followed.
    """
    try:
        graph = tracer.trace(network)
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in line if "/torch/" not in frame.filename and frame.filename != __file__]
        place = f"at `{own[-1].line}` ({own[-1].filename.rsplit('/', 1)[-1]}:{own[-1].lineno})" if own else ""
        raise ValueError(f"its steps cannot be followed {place}: {error}") from error
    alive = {graph.output_node()}
    for node in reversed(graph.nodes):
        if node in alive:
            alive.update(node.all_input_nodes)
    for node in reversed(graph.nodes):
        if node not in alive and node.op != "placeholder":
            graph.erase_node(node)
    return graph


@dataclass
class Value:
    """A value through which everything flows: nothing computed before it is used after it.

    Parameters
    ----------
    step : int
        Place of its node in the list of nodes.
    side : int or None
        Pixels or tokens along a side of its map, None where that cannot be known.
    """

    node: fx.Node
    step: int
    side: int | None


class Shapes(fx.Interpreter):
    """Runs a graph and notes the shape of every floating-point tensor."""

    def __init__(self, network: nn.Module, graph: fx.Graph):
        super().__init__(network, graph=graph)
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, node):
        result = super().run_node(node)
        if isinstance(result, torch.Tensor) and result.is_floating_point():
            self.shapes[node] = tuple(result.shape)
        return result


def values(network: nn.Module, graph: fx.Graph, pictures: torch.Tensor) -> list[Value]:
    """All values through which everything flows, in their order, when the graph of ``network`` sees the pictures.

    Every node is given ``meta["done"]``: multiplications by weights, and weights, up to and with it.
    """
    runner, count = Shapes(network, graph), len(pictures)
    runner.run(pictures)
    nodes = list(graph.nodes)
    place = {node: step for step, node in enumerate(nodes)}
    of_picture, last_use, found = set(), 0, []
    work = weights = 0
    for step, node in enumerate(nodes[:-1]):
        if node.op == "placeholder" or (
            not node.meta.get("count") and of_picture.intersection(node.all_input_nodes)
        ):
            of_picture.add(node)
            shape = runner.shapes.get(node)
            if node.op == "call_module" and shape:
                own = list(network.get_submodule(node.target).parameters())
                own_weights = sum(weight.numel() for weight in own)
                weights += own_weights  # each is used at as many places as there are outputs of a channel
                work += own_weights * math.prod(shape) // len(own[0]) if own and own[0].ndim else 0
            if last_use <= step and shape and shape[0] == count and node.op != "placeholder":
                found.append(Value(node, step, side_of(shape[1:], pictures.shape[2:])))
            last_use = max(last_use, *(place[user] for user in node.users), 0)
        node.meta["done"] = (work, weights)
    return found


def side_of(shape: tuple[int, ...], size: Sequence[int]) -> int | None:
    """Side of a square map, (C, S, S) or (S, S, C), or of a sequence of S² tokens, a few special ones among them."""
    if size[0] == size[1] and len(shape) == 3:
        return next((a for a, b in (shape[1:], shape[:2]) if a == b > 1), None)
    if size[0] == size[1] and len(shape) == 2:
        sides = [math.isqrt(tokens) for tokens in shape]
        return next((a for a, n in zip(sides, shape, strict=True) if a > 1 and n - a**2 <= 8), None)
    return None


def is_dropout(network: nn.Module, node: fx.Node) -> bool:
    return node.target is F.dropout or (
        node.op == "call_module" and isinstance(network.get_submodule(node.target), nn.Dropout)
    )


def _not_to_be_traced() -> tuple[tuple[ModuleType, ...], tuple[Callable, ...]]:
    """Modules whose functions, and functions that, are one step: those that torchvision and timm name."""
    import torchvision.ops

    timm = sys.modules.get("timm.layers")
    return (math, torchvision.ops), tuple(timm.get_notrace_functions()) if timm else ()


def _modules_of_timm() -> tuple[type, ...]:
    timm = sys.modules.get("timm.layers")
    return tuple(timm.get_notrace_modules()) if timm else ()
