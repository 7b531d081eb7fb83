"""The loop of PyTorch's transfer-learning tutorial: with all frozen but the head, and fine-tuning.

AdamW in place of the tutorial's SGD, so that all contenders use one optimizer. As in the tutorial the whole network is
put into training mode, so BatchNorm uses the statistics of the batch in frozen layers, too.
"""

import torch
from torch import nn
from torch.optim.lr_scheduler import StepLR

from benchmarks.peers.tasks import EPOCHS, HEAD_RATE, WEIGHT_DECAY, Bench
from benchmarks.tutorial_loop import train_model


def _train(model: nn.Sequential, bench: Bench, trained: nn.Module, epochs: int, rate: float) -> None:
    model.requires_grad_(False)
    trained.requires_grad_(True)
    optimizer = torch.optim.AdamW(trained.parameters(), lr=rate, weight_decay=WEIGHT_DECAY)
    scheduler = StepLR(optimizer, step_size=7, gamma=0.1)
    train_model(model, nn.CrossEntropyLoss(), optimizer, scheduler, bench.loaders, epochs)


def head(bench: Bench):
    model, _ = bench.network(), bench.loaders
    with bench.clock():
        _train(model, bench, model.head, EPOCHS["head"], bench.job.rate)
    return model.eval()


def mixed(bench: Bench):
    model, _ = bench.network(), bench.loaders
    with bench.clock():
        _train(model, bench, model.head, EPOCHS["frozen"], HEAD_RATE)
        _train(model, bench, model[-2:], EPOCHS["tuned"], bench.job.rate)
    return model.eval()


def full(bench: Bench, memory_format=torch.contiguous_format):
    model, _ = bench.network().to(memory_format=memory_format), bench.loaders
    with bench.clock():
        _train(model, bench, model, EPOCHS["full"], bench.job.rate)
    return model.eval()


def full_channels_last(bench: Bench):
    """As somebody writes it who has read PyTorch's page on memory formats."""
    return full(bench, torch.channels_last)
