"""torch-lr-finder: the range test alone, on a network that its user has frozen as the tutorial does."""

import math

import torch
from torch import nn
from torch_lr_finder import LRFinder

from benchmarks.peers.tasks import HIGHEST, LOWEST, STEPS, WEIGHT_DECAY, Bench


def _range_test(bench: Bench, groups: int) -> list[float]:
    network, loaders = bench.network(), bench.loaders
    with bench.clock():
        network.requires_grad_(False)
        trained = network[-groups:].requires_grad_(True)
        optimizer = torch.optim.AdamW(trained.parameters(), lr=LOWEST, weight_decay=WEIGHT_DECAY)
        finder = LRFinder(network, optimizer, nn.CrossEntropyLoss(), device="cpu")
        finder.range_test(loaders["train"], end_lr=HIGHEST, num_iter=STEPS, diverge_th=math.inf)
        finder.reset()
    return finder.history["loss"]


def range_head(bench: Bench):
    return _range_test(bench, 1)


def range_full(bench: Bench):
    return _range_test(bench, 6)
