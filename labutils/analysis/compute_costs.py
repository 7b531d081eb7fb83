"""What each group of a network costs: weights, activations to keep for the backward pass, time."""

import copy
from collections.abc import Sequence
from time import perf_counter

import pandas as pd
import torch

from labutils.networks.groups import LayerGroups

PASSES = 3


def group_costs(model: LayerGroups, image_size: int = 64, batch_size: int = 16) -> pd.DataFrame:
    """Cost of training each group, measured on this machine with one batch of random pictures.

    A tensor that two groups keep, the output of one and input of the next, counts for the later one. So the sum
    over the last n groups is what training them keeps.

    Parameters
    ----------
    model : LayerGroups
        Not changed; a copy is run on the CPU, in evaluation mode so that no buffer counts. No random generator
        is moved.
    image_size, batch_size : int
        Of the batch; memory and time are for all of it.

    Returns
    -------
    DataFrame
        A row a group, shallow to deep: group, parameters (count), kept_mb (activations that autograd keeps, in
        megabytes of 1e6 bytes), forward_ms and backward_ms (each the least of three passes).
    """
    # Channels last, as in training: on a CPU the memory order decides the time.
    model = copy.deepcopy(model).cpu().eval().requires_grad_(True).to(memory_format=torch.channels_last)
    weights = storages(model)
    pictures = torch.rand(batch_size, 3, image_size, image_size, generator=torch.Generator().manual_seed(0))
    x = pictures.contiguous(memory_format=torch.channels_last)
    rows, kept, alive = [], [], []
    for name, group in model.named_children():
        forward, backward = zip(*(_time(group, x) for _ in range(PASSES)), strict=True)
        saved, output = saved_for_backward(group, x, weights)
        alive.append(output)  # holds the graph, so that no later tensor takes the place of a saved one
        kept.append(saved)
        x = output.detach()
        rows.append(
            {
                "group": name,
                "parameters": sum(parameter.numel() for parameter in group.parameters()),
                "forward_ms": min(forward),
                "backward_ms": min(backward),
            }
        )
    table = pd.DataFrame(rows).assign(kept_mb=without_shared_storage(kept))
    return table[["group", "parameters", "kept_mb", "forward_ms", "backward_ms"]]


def without_shared_storage(kept: Sequence[dict[int, int]]) -> list[float]:
    """Megabytes of each group, shallow to deep, where a piece of memory that two keep counts for the later one."""
    sizes, counted = [], set()
    for saved in reversed(kept):
        sizes.append(sum(size for place, size in saved.items() if place not in counted) / 1e6)
        counted |= saved.keys()
    return sizes[::-1]


def depth_costs(costs: pd.DataFrame) -> pd.DataFrame:
    """The same for training the last n groups on cached activations, for every n.

    The step is an estimate: the optimizer's own work is left out, and the first trained group is charged with
    the gradient of its input, which nobody needs.

    Parameters
    ----------
    costs : DataFrame
        From `group_costs`.

    Returns
    -------
    DataFrame
        trained_groups, first_trained (name), parameters, kept_mb, step_ms (forward and backward pass), for
        n = 1 … L + 1.
    """
    deep_first = costs.iloc[::-1].reset_index(drop=True)
    return pd.DataFrame(
        {
            "trained_groups": range(1, len(costs) + 1),
            "first_trained": deep_first["group"],
            "parameters": deep_first["parameters"].cumsum(),
            "kept_mb": deep_first["kept_mb"].cumsum(),
            "step_ms": (deep_first["forward_ms"] + deep_first["backward_ms"]).cumsum(),
        }
    )


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _time(group: torch.nn.Module, x: torch.Tensor) -> tuple[float, float]:
    """Milliseconds of one forward and one backward pass."""
    given = x.detach().requires_grad_(True)
    started = perf_counter()
    output = group(given)
    between = perf_counter()
    output.backward(torch.ones_like(output))
    ended = perf_counter()
    group.zero_grad(set_to_none=True)
    return 1e3 * (between - started), 1e3 * (ended - between)


def storages(model: torch.nn.Module) -> set[int]:
    """Where the weights and buffers of a model lie: memory that is there anyway."""
    return {_storage(tensor) for tensor in (*model.parameters(), *model.buffers())}


def saved_for_backward(
    group: torch.nn.Module, x: torch.Tensor, weights: set[int]
) -> tuple[dict[int, int], torch.Tensor]:
    """Bytes of each piece of memory that autograd keeps, but for ``weights``, and the output, which keeps it alive."""
    saved = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if _storage(tensor) not in weights:
            saved[_storage(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        # Without a gradient of its input a first group would keep less than when groups before it are trained too.
        output = group(x.detach().requires_grad_(True))
    return saved, output
