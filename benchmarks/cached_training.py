"""What an epoch on cached activations costs, against training the suffix alone, at every freeze depth.

python benchmarks/cached_training.py [--quick]

Both do the same steps on copies of one network, in turns in one process: the lab's epoch (`Trainer.train_epoch`,
the code that `fit` runs, with a filled cache and no validation) and a bare loop that knows nothing but the suffix,
an optimizer and a tensor of activations. At depth 0 nothing is frozen: "ready activations" are then pictures that
were normalised beforehand.

One computing thread, unless set otherwise: then CPU time is what the work costs, also where other programs keep the
cores busy and wall time swings. Both ratios stand in the table.
"""

import argparse
import copy
from functools import partial
from statistics import median
from time import perf_counter, process_time

import torch
from provenance import provenance, save
from torch.nn import functional as F
from tqdm.auto import tqdm

from labutils import ActivationCache, Settings, Stage, build_feature_extractor, discriminative_lr_optimizer
from labutils.data import load
from labutils.training.trainer import Trainer


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=320, help="training pictures of solar")
    parser.add_argument("--image-size", type=int, default=128, help="their side in pixels")
    parser.add_argument("--rounds", type=int, default=5, help="least turns at each depth")
    parser.add_argument(
        "--seconds", type=float, default=8.0, help="least time at each depth: more turns if fast"
    )
    parser.add_argument(
        "--depths", type=int, nargs="+", default=list(range(6)), help="how many groups are frozen"
    )
    parser.add_argument("--threads", type=int, default=1, help="computing threads")
    parser.add_argument("--quick", action="store_true", help="96 pictures of 64 px, 3 rounds, half a second")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.pictures, arguments.image_size, arguments.rounds, arguments.seconds = 96, 64, 3, 0.5
    torch.set_num_threads(arguments.threads)

    domain = load("solar", arguments.image_size).labelled(arguments.pictures, seed=0)
    settings = Settings(device="cpu", cache_limit_gb=4.0)
    rows = []
    for depth in tqdm(arguments.depths, desc="Freeze depths", unit="depth"):
        rows.append(measure(depth, domain, settings, arguments.rounds, arguments.seconds))
    save("cached_training", rows, provenance(), keep=not arguments.quick, **vars(arguments))


def measure(depth: int, domain, settings: Settings, rounds: int, seconds: float) -> dict:
    """A row of the table: medians of the two kinds of epoch, and what filling the cache costs once."""
    model = build_feature_extractor(num_classes=len(domain.classes))
    stage = Stage(model.names[depth:], epochs=1000, base_lr=1e-4)
    twin = copy.deepcopy(model)

    trainer = Trainer(model, domain, settings, stage, cache=ActivationCache(settings.cache_limit_gb))
    trainer.enter(stage)
    started = perf_counter()
    source = trainer.inputs.lookup(domain.train)
    filling = perf_counter() - started if depth else 0.0

    bare = Bare(twin, stage, source(domain.train), domain.labels[domain.train])
    row_of = {int(sample): row for row, sample in enumerate(domain.train)}
    times = {"cached": [], "alone": []}  # pairs of wall and CPU seconds
    begun, turn = perf_counter(), 0
    while turn <= rounds or perf_counter() - begun < seconds:
        batches = [torch.tensor([row_of[int(sample)] for sample in ids]) for ids in trainer.batches(turn)]
        jobs = {
            "cached": partial(trainer.train_epoch, stage, turn, turn),
            "alone": partial(bare.epoch, batches),
        }
        for name in sorted(jobs, reverse=turn % 2):
            wall, cpu = perf_counter(), process_time()
            jobs[name]()
            times[name].append((perf_counter() - wall, process_time() - cpu))
        turn += 1
    # The first turn warms up and is not counted.
    (cached, cached_cpu), (alone, alone_cpu) = [
        map(median, zip(*pairs[1:], strict=True)) for pairs in times.values()
    ]
    return {
        "freeze_depth": depth,
        "first_trained": model.names[depth],
        "cached_epoch_s": cached,
        "suffix_alone_s": alone,
        "ratio": cached / alone,
        "ratio_cpu_time": cached_cpu / alone_cpu,
        "fill_once_s": filling,
        "cache_mb": trainer.cache.bytes / 1e6,
        "rounds": turn - 1,
    }


class Bare:
    """The suffix on activations that lie ready in memory, and nothing around it."""

    def __init__(self, model, stage: Stage, activations: torch.Tensor, labels: torch.Tensor):
        model.to(memory_format=torch.channels_last)
        for name, group in model.named_children():
            group.requires_grad_(name in stage.groups)
        self.suffix = model[-len(stage.groups) :].train()
        self.optimizer = discriminative_lr_optimizer(self.suffix, stage.base_lr)
        # Rows lie as height, width, channel, so that a batch comes out channels-last without a copy.
        self.feature_maps = activations.ndim == 4
        self.rows = activations.permute(0, 2, 3, 1).contiguous() if self.feature_maps else activations.clone()
        self.labels = labels

    def epoch(self, batches: list[torch.Tensor]) -> None:
        for rows in batches:
            x = self.rows[rows].permute(0, 3, 1, 2) if self.feature_maps else self.rows[rows]
            F.cross_entropy(self.suffix(x), self.labels[rows]).backward()
            self.optimizer.step()
            self.optimizer.zero_grad()


if __name__ == "__main__":
    main()
