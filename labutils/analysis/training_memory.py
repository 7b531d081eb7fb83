"""How much memory training takes: measured for each group on one small batch, then added up for any batch and freeze depth."""

import copy
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter

import pandas as pd
import torch

from labutils.analysis.compute_costs import saved_for_backward, storages, without_shared_storage
from labutils.data import Domain
from labutils.networks.groups import LayerGroups
from labutils.training.activation_cache import ActivationCache
from labutils.training.precision import autocast
from labutils.training.settings import Settings
from labutils.training.stages import Stage
from labutils.training.trainer import Trainer

BATCHES = (2, 4)  # two small batches tell what is fixed and what each picture adds
MB = 1e6
# Each a fixed part and a part for each picture.
AMOUNTS = tuple(
    f"{name}_{part}" for name in ("kept", "input", "forward", "step") for part in ("fixed", "each")
)


@dataclass(frozen=True)
class Memory:
    """What is held at the fullest moment of a training step, in MB of 1e6 bytes.

    Attributes
    ----------
    weights : float
        Of the whole network, with its buffers.
    optimizer : float
        The two running means of AdamW for each trained weight.
    gradients : float
        Those that exist at that moment.
    activations : float
        Kept for the backward pass.
    working : float
        Everything that lives for a moment only.
    """

    weights: float
    optimizer: float
    gradients: float
    activations: float
    working: float

    @property
    def total(self) -> float:
        return sum(asdict(self).values())


def peak_allocated(function: Callable[[], object], device: torch.device | str = "cpu") -> float:
    """The most memory that tensors take while ``function`` runs, above what they took before, in MB.

    On a GPU from torch's own allocator. On a CPU every allocation is written down by torch's profiler, which is
    exact for tensors and blind to the libraries below; the resident memory of the process would show both, and what
    the operating system has not taken back yet.
    """
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        function()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / MB
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or it says at every start that there is no GPU
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        function()
    held = highest = 0
    # `seen.events()` leaves out what is allocated inside of operations.
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        highest = max(highest, held)
    return highest / MB


def step_memory(
    model: LayerGroups, domain: Domain, settings: Settings, trained_groups: int, weights: str = "all"
) -> tuple[float, float]:
    """Train the last groups for one step and measure it, frozen groups included.

    Parameters
    ----------
    model : LayerGroups
        Not changed; a copy is trained.
    settings : Settings
        Nothing is cached.
    trained_groups : int
        Counted from the head.
    weights : {"all", "norms", "biases", "adapters"}, default "all"
        Which weights of them, see `partial_finetune`.

    Returns
    -------
    (float, float)
        MB at the fullest moment (weights, optimizer state and all that the step allocates), and the least seconds of three
        steps.
    """
    model = copy.deepcopy(model)
    stage = Stage(model.names[-trained_groups:], 1, settings.base_lr, weights)
    trainer = Trainer(model, domain, settings, stage, cache=ActivationCache(0))
    trainer.enter(stage)
    trainer.suffix.train()
    batch = domain.train[: settings.batch_size]
    source = trainer.inputs.lookup(batch)

    def step() -> float:
        started = perf_counter()
        trainer.backward(batch, source)
        trainer.update()
        if trainer.device.type == "cuda":
            torch.cuda.synchronize()
        return perf_counter() - started

    seconds = min(step() for _ in range(3))  # the first makes the optimizer's state
    states = [
        tensor for state in trainer.optimizer.state.values() for tensor in state.values() if tensor.ndim
    ]
    there = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers(), *states)) / MB
    return there + peak_allocated(step, trainer.device), seconds


def memory_costs(model: LayerGroups, image_size: int = 224, precision: str = "float32") -> pd.DataFrame:
    """What each group holds, measured on the CPU with batches of two and of four random pictures.

    Every amount is a fixed part and a part for each picture, so that the amount for any batch follows from them.

    Parameters
    ----------
    model : LayerGroups
        Not changed.
    image_size : int, default 224
        In pixels.
    precision : {"float32", "bfloat16"}, default "float32"
        Of the activations.

    Returns
    -------
    DataFrame
        A row a group, shallow to deep: group, weights (with buffers), trainable (weights without), largest (its largest weight),
        and each with the endings ``_fixed`` and ``_each`` (a picture): kept (for the backward pass; a tensor that two
        groups keep counts for the later one), input, forward (most at a time without gradients, input and output
        among it) and step (most at a time in forward and backward pass). All in MB.
    """
    model = copy.deepcopy(model).cpu().eval().requires_grad_(True).to(memory_format=torch.channels_last)
    small, large = (_look(model, image_size, precision, batch) for batch in BATCHES)
    costs = pd.DataFrame(
        {
            "group": name,
            "weights": sum(tensor.nbytes for tensor in (*group.parameters(), *group.buffers())) / MB,
            "trainable": sum(weight.nbytes for weight in group.parameters()) / MB,
            "largest": max((weight.nbytes for weight in group.parameters()), default=0) / MB,
        }
        for name, group in model.named_children()
    )
    for name in ("kept", "input", "forward", "step"):
        each = (large[name] - small[name]) / (BATCHES[1] - BATCHES[0])
        costs[f"{name}_fixed"], costs[f"{name}_each"] = large[name] - BATCHES[1] * each, each
    return costs


def training_memory(
    costs: pd.DataFrame, trained_groups: int, batch_size: int, checkpointing: bool = False
) -> Memory:
    """The fullest moment of a step that trains the last groups with AdamW.

    During the backward pass the activations of the groups that are still to come are held, the gradients of those that
    are done, and whatever the present one needs. The fullest of these moments counts, or the forward pass through the
    frozen groups, or the update.

    Parameters
    ----------
    costs : DataFrame
        From `memory_costs`.
    trained_groups : int
        Counted from the head.
    batch_size : int
        Pictures in a forward pass; with accumulation those of one part.
    checkpointing : bool, default False
        Keep only the inputs of the groups and compute the rest again (Chen et al. 2016).

    Raises
    ------
    ValueError
        ``trained_groups`` or ``batch_size`` out of range.
    """
    if not 1 <= trained_groups <= len(costs) or batch_size < 1:
        raise ValueError(
            f"trained_groups={trained_groups}, batch_size={batch_size}: use 1 to {len(costs)} groups and 1 picture or more"
        )
    weights, trainable, largest, *amounts = costs[["weights", "trainable", "largest", *AMOUNTS]].to_numpy().T
    fixed, each = amounts[::2], amounts[1::2]
    kept, given, forward, step = (a + batch_size * b for a, b in zip(fixed, each, strict=True))
    first = len(costs) - trained_groups
    gradients = trainable[first:].sum()
    # The update takes two passing copies of one weight at a time.
    moments = [(gradients, 0.0, 2 * largest[first:].max())]
    moments += [(0.0, 0.0, needed) for needed in forward[:first]]
    held = given if checkpointing else kept
    for k in range(first, len(costs)):
        waiting, done = held[first:k].sum(), trainable[k + 1 :].sum()
        own_kept, own = min(kept[k], step[k]), min(trainable[k], step[k])
        moments.append((done + own, waiting + own_kept, max(0.0, step[k] - own_kept - own)))
    fullest = max(moments, key=sum)
    return Memory(*map(float, (weights.sum(), 2 * gradients, *fullest)))


def largest_batch(
    costs: pd.DataFrame, trained_groups: int, room_mb: float, checkpointing: bool = False
) -> int:
    """How many pictures fit into ``room_mb`` at a time; 0 where not even one does."""

    def fits(batch: int) -> bool:
        return training_memory(costs, trained_groups, batch, checkpointing).total <= room_mb

    if not fits(1):
        return 0
    low, high = 1, 2
    while fits(high) and high < 1_000_000:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _look(model: LayerGroups, image_size: int, precision: str, batch: int) -> pd.DataFrame:
    """Megabytes of each group for one batch."""
    x = torch.rand(batch, 3, image_size, image_size, generator=torch.Generator().manual_seed(0))
    x = x.contiguous(memory_format=torch.channels_last)
    low = lambda: autocast(Settings(precision=precision), torch.device("cpu"))  # noqa: E731
    rows, kept, alive, weights = [], [], [], storages(model)
    for group in model:

        def forward(group=group, x=x) -> None:
            with torch.no_grad(), low():
                group(x.clone())

        def step(group=group, x=x) -> None:
            with low():
                y = group(x.clone().requires_grad_(True))
            y.backward(torch.ones_like(y))

        with low():
            saved, output = saved_for_backward(group, x, weights)
        row = {"input": x.nbytes / MB, "step": peak_allocated(step)}
        # Autocast keeps its copies of weights that ask for gradients until it ends; frozen ones do not.
        group.zero_grad(set_to_none=True)
        group.requires_grad_(False)
        rows.append(row | {"forward": peak_allocated(forward)})
        group.requires_grad_(True)
        kept.append(saved)
        alive.append(output)  # holds the graph, so that no later tensor takes the place of a saved one
        x = output.detach()
    return pd.DataFrame(rows).assign(kept=without_shared_storage(kept))
