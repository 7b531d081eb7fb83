"""Less memory for more time: keep activations at group boundaries only and recompute the rest."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm
from torch.utils.checkpoint import checkpoint


def run_checkpointed(groups: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
    """Forward through ``groups``, each of them recomputed during the backward pass.

    Chen et al. 2016, "Training deep nets with sublinear memory cost". The head is not worth recomputing.
    """
    *inner, head = groups
    for group in inner:
        x = checkpoint(
            group,
            x,
            use_reentrant=False,
            context_fn=lambda group=group: (nullcontext(), unmoved_statistics(group)),
        )
    return head(x)


@contextmanager
def unmoved_statistics(group: nn.Module) -> Iterator[None]:
    """BatchNorm normalises by the batch inside the block, without moving its running statistics again."""
    norms = [
        module for module in group.modules() if isinstance(module, BatchNorm) and module.track_running_stats
    ]
    before = [(module, module.momentum, module.num_batches_tracked.clone()) for module in norms]
    try:
        for module in norms:
            module.momentum = (
                0.0  # the new statistics weigh nothing; switching them off would save other tensors
            )
        yield
    finally:
        for module, momentum, count in before:
            module.momentum = momentum
            module.num_batches_tracked.copy_(count)
