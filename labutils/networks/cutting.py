"""One rule cuts every classifier into the same six groups: stem, layer1 to layer4, head."""

import copy
import math
import operator
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from inspect import signature
from itertools import pairwise

import torch
from torch import fx, nn

from labutils.networks.fixed_size_tracing import FixedSizeTracer
from labutils.networks.groups import inference
from labutils.networks.tracing import Address, Tracer, Value, is_dropout, trace, values

NAMES = ("stem", "layer1", "layer2", "layer3", "layer4", "head")
LARGE = 0.25  # share of the work from which on a module holds stages, and is no block or patch embedding
FAIR = 0.3  # least share of the work in each part of a stage cut in two, if there is such a place


class CannotCut(ValueError):
    """A network in which six groups cannot be found."""


def cut(
    network: nn.Module, size: int | tuple[int, int] = 224, *, fixed: bool = False
) -> dict[str, nn.Module]:
    """Groups stem, layer1 to layer4 and head of a classifier: one after the other they give its output.

    A group ends at a value through which everything flows: layer1 at the last one of 1/4 of the resolution, layer2
    to layer4 of 1/8, 1/16 and 1/32, the stem where the resolution of layer1 is reached. Where there are fewer
    resolutions the stage with the most work is cut in two, so that a ViT has four equal parts after its patch
    embedding. Pooling ends layer4; the head is the last classifier layer, the dropout before it, and what follows.

    Parameters
    ----------
    network : Module
        Takes pictures (N, 3, H, W). Its modules become parts of the groups, shared and not copied, under their
        own names.
    size : int or (int, int), default 224
        Height and width of the pictures that it is looked at with. The groups take what the network takes.
    fixed : bool, default False
        The groups take pictures of this size only. Networks can then be cut whose code computes with sizes.

    Returns
    -------
    dict of str to Module
        For `LayerGroups`.

    Raises
    ------
    CannotCut
        Its steps cannot be followed, or there are too few places for a cut; with the remedy.

    Examples
    --------
    >>> from torchvision.models import resnet18
    >>> cut(resnet18())["layer3"].layer3[0].conv1
    Conv2d(128, 256, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), bias=False)
    """
    weight = next(network.parameters())
    height, width = (size, size) if isinstance(size, int) else size
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(2, 3, height, width, generator=generator).to(weight)
    try:
        with inference(network):
            follow = partial(FixedSizeTracer, pictures) if fixed else Tracer
            graph = trace(network, follow())
            groups = _groups(network, graph, _ends(network, graph, pictures), follow)
            _require_weights_of_their_own(groups)
            whole = nn.Sequential(*groups.values())
            with inference(whole):
                if not torch.equal(whole(pictures), network(pictures)):
                    raise ValueError("its groups would answer otherwise than it does")
            return groups
    except (ValueError, RuntimeError) as error:
        raise CannotCut(
            f"{type(network).__name__} cannot be cut into groups: {error}. Name them yourself: "
            "LayerGroups({'stem': …, 'layer1': …, 'head': …})"
        ) from error


def _ends(network: nn.Module, graph: fx.Graph, pictures: torch.Tensor) -> list[fx.Node]:
    """The values at which stem and layer1 to layer4 end."""
    found = values(network, graph, pictures)
    nodes = list(graph.nodes)
    classifier = max((step for step, node in enumerate(nodes) if _is_linear(network, node)), default=0)
    found = [value for value in found if value.step < classifier]
    while found and is_dropout(network, found[-1].node):
        found.pop()
    if len(found) < 5:
        raise ValueError(
            f"5 values through which everything flows are needed before its last linear layer, and there are "
            f"{len(found)}" + (f", the last at `{found[-1].node.name}`" if found else "")
        )
    places = Places(nodes, found, pictures.shape[2])
    stem = places.end_of_stem()
    ends = [stem, *places.ends_of_stages(stem)]
    while len(ends) < 5:
        stages = [stage for stage in pairwise(ends) if stage[1] - stage[0] > 1]
        if not stages:
            raise ValueError(f"too little flows through one value after `{found[stem].node.name}`")
        ends = sorted([*ends, places.middle(*max(stages, key=lambda stage: places.work(*stage)))])
    return [found[place].node for place in ends]


def _is_linear(network: nn.Module, node: fx.Node) -> bool:
    return node.op == "call_module" and isinstance(network.get_submodule(node.target), nn.Linear | nn.Conv2d)


class Places:
    """Where a cut may be: place i is behind the i-th value through which everything flows."""

    def __init__(self, nodes: list[fx.Node], found: list[Value], height: int):
        self.steps = [value.step for value in found]
        self.done, self.weights = zip(
            *(node.meta["done"] for node in nodes[: self.steps[-1] + 1]), strict=True
        )
        self.levels, level = [], 0  # 2 is a quarter of the resolution; on its way it only gets coarser
        for value in found:
            level = max(level, round(math.log2(height / value.side)) if value.side else 0)
            self.levels.append(level)
        self.first, self.last = {}, {}  # steps of every module
        addresses = [
            (step, node.meta["address"]) for step, node in enumerate(nodes) if node.meta.get("address")
        ]
        for step, address in addresses:
            for module in _prefixes(address):
                self.first.setdefault(module, step)
                self.last[module] = min(step, self.steps[-1])
        behind = {step: (address, after) for (step, address), (_, after) in pairwise(addresses)}
        # Modules that a cut at each place would divide, the outermost first.
        self.divided = [_common(*behind[step]) for step in self.steps]

    def work(self, start: int, end: int) -> float:
        return self.done[self.steps[end]] - self.done[self.steps[start]]

    def is_large(self, module: Address) -> bool:
        work = self.done[self.last[module]] - self.done[self.first[module] - 1]
        return work > LARGE * self.done[-1]

    def end_of_stem(self) -> int:
        """Behind the first module, and where that is finer than 1/4, behind the last such value."""
        first = next(step for step, done in enumerate(self.done) if done > 0)
        around = [module for module, step in self.first.items() if step <= first <= self.last[module]]
        module = next((module for module in around if not self.is_large(module)), around[-1])
        place = next(i for i, step in enumerate(self.steps) if step >= self.last[module])
        fine = [i for i, level in enumerate(self.levels) if level < 2]
        if fine and fine[-1] > place and self.levels[-1] >= 2:
            place = self.step_out(fine[-1], place)
        # What has no weights, such as pooling and the position embedding, goes along.
        while (
            place + 2 < len(self.steps)
            and self.work(place, place + 1) == 0
            and all(self.is_large(module) for module in self.divided[place + 1])
        ):
            place += 1
        return place

    def ends_of_stages(self, stem: int) -> list[int]:
        """Behind the last value of each resolution, at most four; the last is the place before the head."""
        ends, last = [], len(self.steps) - 1
        for level in sorted({level for level in self.levels[stem + 1 :] if level >= 2})[:-1]:
            start = ends[-1] if ends else stem
            place = self.step_out(len(self.levels) - 1 - self.levels[::-1].index(level), start)
            if place > start and self.work(start, place) > 0 and self.work(place, last) > 0:
                ends.append(place)
        return [*ends[:3], last]

    def step_out(self, place: int, start: int) -> int:
        """The place, or the one before the module that it divides, where most of that module comes after it."""
        for module in self.divided[place]:
            before = max((i for i in range(place) if self.steps[i] < self.first[module]), default=0)
            here, begin = self.weights[self.steps[place]], self.weights[self.steps[start]]
            passed, rest = here - self.weights[self.first[module] - 1], self.weights[self.last[module]] - here
            small = not self.is_large(module) and passed < max(rest, (here - begin) / 3)
            if small and before > start:
                return before
        return place

    def middle(self, start: int, end: int) -> int:
        """Where to cut a stage in two: between whole modules rather than within, and about in the middle."""
        share = {i: self.work(start, i) / max(self.work(start, end), 1) for i in range(start + 1, end)}
        fair = [i for i in share if FAIR <= share[i] <= 1 - FAIR]
        if not fair:
            return min(share, key=lambda i: abs(share[i] - 0.5))
        return min(fair, key=lambda i: (len(self.divided[i]), abs(share[i] - 0.5)))


def _prefixes(address: Address) -> list[Address]:
    return [address[:length] for length in range(1, len(address) + 1)]


def _common(one: Address, other: Address) -> list[Address]:
    return [a for a, b in zip(_prefixes(one), _prefixes(other), strict=False) if a == b]


def _groups(
    network: nn.Module, graph: fx.Graph, ends: list[fx.Node], follow: Callable[..., Tracer]
) -> dict[str, nn.Module]:
    """The modules that lie wholly in one group, as they are, and the steps between them."""
    groups_of, group = defaultdict(set), 0
    for node in graph.nodes:
        for module in _prefixes(node.meta.get("address") or ()):
            groups_of[module].add(group)
        group += node in ends
    coarse = trace(network, follow(whole=lambda module: len(groups_of[module]) < 2))
    steps = {node.meta.get("address"): node for node in coarse.nodes}
    borders = [next(node for node in coarse.nodes if node.op == "placeholder")]
    borders += [
        _unpacked(steps[next(m for m in _prefixes(end.meta["address"]) if m in steps)]) for end in ends
    ]
    borders += coarse.output_node().all_input_nodes
    parts = [_part(network, coarse, start, end) for start, end in pairwise(borders)]
    return dict(zip(NAMES, parts, strict=True))


def _unpacked(node: fx.Node) -> fx.Node:
    """The step, or what is taken out of it where it gives a tuple of which nothing else is used."""
    users = list(node.users)
    only = users[0] if len(users) == 1 and users[0].target is operator.getitem else None
    return only if only and isinstance(only.args[1], int) else node


def _require_weights_of_their_own(groups: dict[str, nn.Module]) -> None:
    """Refuse groups of which one could not be trained, or not without another: in silence nothing, or too much, would be."""
    if not any(True for _ in groups["layer4"].parameters()):
        raise ValueError("all of its weights lie before the last place for a cut, so layer4 would have none")
    owner: dict[int, tuple[str, str]] = {}
    for group, part in groups.items():
        for name, weight in part.named_parameters():
            first, _ = owner.setdefault(id(weight), (group, name))
            if first != group:
                raise ValueError(
                    f"`{name}` is used in {first} and again in {group}, so neither could be frozen alone"
                )


def _part(network: nn.Module, graph: fx.Graph, start: fx.Node, end: fx.Node) -> nn.Module:
    """A chain of modules where it is one, else a graph of them."""
    needed, waiting = {start}, [end]
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting.extend(() if node.meta.get("count") else node.all_input_nodes)
            if node.op == "placeholder":
                raise ValueError(f"what follows `{start.name}` needs the pictures themselves")
    nodes = [node for node in graph.nodes if node in needed and node is not start]
    modules = {node: module for node in nodes if (module := _as_module(network, node))}
    if all(node in modules and node.args[0] is before for before, node in pairwise([start, *nodes])):
        names = [_name(node) for node in nodes]
        chain = _nested(names, modules.values())
        if [module for name, module in chain.named_modules(remove_duplicate=False) if name in names] == [
            *modules.values()
        ]:
            return chain
    root = copy.copy(network)  # what is added below is not the network's
    root._modules = root._modules.copy()
    part, copies = fx.Graph(), {}
    copies[start] = part.placeholder("x")
    for node in nodes:
        if node.meta.get("count"):
            copies[node] = part.call_method("size", (copies[start], 0))
        elif isinstance(modules.get(node), WhenTrained) and node.op == "call_function":
            root.add_module(node.name, modules[node])
            copies[node] = part.call_module(node.name, (copies[node.args[0]],))
        else:
            copies[node] = part.node_copy(node, copies.__getitem__)
    part.output(copies[end])
    return fx.GraphModule(root, part, "Graph")


class WhenTrained(nn.Module):
    """A function such as dropout, which has to be told whether it is trained; as a module, it knows.

    Traced in evaluation, it would be off for ever.
    """

    def __init__(self, function: Callable, args: tuple, kwargs: dict):
        super().__init__()
        _, *names = signature(function).parameters
        self.function = function
        self.options = {**dict(zip(names, args, strict=False)), **kwargs}

    @staticmethod
    def fits(function: Callable) -> bool:
        try:
            return "training" in signature(function).parameters
        except (TypeError, ValueError):  # written in C++
            return False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, **{**self.options, "training": self.training})

    def extra_repr(self) -> str:
        return f"{self.function.__name__}, {self.options}"


def _as_module(network: nn.Module, node: fx.Node) -> nn.Module | None:
    """What computes the step from the one before alone."""
    if node.op == "call_module" and len(node.args) == 1 and not node.kwargs:
        return network.get_submodule(node.target)
    if (
        node.op == "call_function"
        and node.all_input_nodes == [node.args[0]]
        and WhenTrained.fits(node.target)
    ):
        return WhenTrained(node.target, node.args[1:], node.kwargs)
    if node.target in (torch.flatten, "flatten") and (
        node.args[1:] == (1,) or node.kwargs == {"start_dim": 1}
    ):
        return nn.Flatten(1)
    return None


def _name(node: fx.Node) -> str:
    return node.target if node.op == "call_module" else node.name


def _nested(names: list[str], modules) -> nn.Sequential:
    """A chain in which ``blocks.1`` is part 1 of a part called blocks."""
    chain = nn.Sequential()
    for name, module in zip(names, modules, strict=True):
        *outer, own = name.split(".")
        part = chain
        for each in outer:
            if each not in part._modules:
                part.add_module(each, nn.Sequential())
            part = part._modules[each]
        part.add_module(own, module)
    return chain
