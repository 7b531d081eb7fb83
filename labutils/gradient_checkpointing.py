"""Less memory for more time: keep activations at group boundaries only and recompute the rest."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn
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
    tracking = [
        m
        for m in group.modules()
        if isinstance(m, nn.modules.batchnorm._NormBase) and m.track_running_stats and m.training
    ]
    try:
        for module in tracking:
            module.track_running_stats = False
        yield
    finally:
        for module in tracking:
            module.track_running_stats = True
