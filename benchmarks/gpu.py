"""Images per second of ResNet-50 on a GPU: the lab in bf16, a plain fp32 loop, and the step alone.

python benchmarks/gpu.py                                                     needs a CUDA device
python benchmarks/gpu.py --device cpu --batch 4 --image-size 64 --steps 2    only to see that it runs

For the head alone, the last block and all of the network: the lab's own epoch, its cache off, so that every step takes
pictures from main memory through the frozen groups; the same with a filled cache; a plain loop in fp32 and the
default memory order; and the lab's step on one synthetic batch that lies on the device already. Random weights.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median
from time import perf_counter

import torch
from provenance import provenance, save
from torch.nn import functional as F
from tqdm.auto import tqdm

from labutils import Domain, Settings, Stage, build_feature_extractor, freeze_all_but
from labutils.training.trainer import Trainer

CLASSES = tuple("abcdefghij")


def synthetic(pictures: int, size: int) -> Domain:
    """Noise as a data set: how fast a step is does not depend on what is to be seen."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (pictures + 4, 3, size, size), dtype=torch.uint8, generator=generator)
    labels, ids = torch.arange(pictures + 4) % len(CLASSES), torch.arange(pictures + 4)
    return Domain("noise", images, labels, CLASSES, ids[:-4], ids[-4:-2], ids[-2:], "made here")


def lab(domain: Domain, trained: int, settings: Settings) -> tuple[Trainer, Stage]:
    """A trainer for the last ``trained`` groups."""
    model = build_feature_extractor("resnet50", len(CLASSES), pretrained=False)
    stage = Stage(model.names[-trained:], epochs=1000, base_lr=1e-4)
    trainer = Trainer(model, domain, settings, stage)
    trainer.enter(stage)
    return trainer, stage


def step_alone(domain: Domain, trained: int, settings: Settings, steps: int) -> Callable[[], None]:
    """The lab's step, prefix included, on one batch that is normalised and on the device beforehand."""
    trainer, _ = lab(domain, trained, replace(settings, cache_limit_gb=0))
    ids, inputs = domain.train[: settings.batch_size], trainer.inputs
    x = domain.images[ids].to(trainer.device).float().div_(255)
    x = trainer.model.normalise(x).contiguous(memory_format=torch.channels_last)
    labels = domain.labels[ids].to(trainer.device)
    kind = trainer.device.type

    def epoch() -> None:
        trainer.model.train()
        for _ in range(steps):
            with torch.autocast(kind, torch.bfloat16):
                with torch.no_grad():
                    y = inputs.prefix(x)
                loss = F.cross_entropy(trainer.model.head(trainer.features(y)).float(), labels)
            loss.backward()
            trainer.update()

    return epoch


def plain(domain: Domain, trained: int, settings: Settings) -> Callable[[], None]:
    """One epoch as most scripts have it: fp32, default memory order, no cache, the loss read at every step."""
    model = build_feature_extractor("resnet50", len(CLASSES), pretrained=False).to(settings.device)
    freeze_all_but(model, model.names[-trained:])
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

    def epoch() -> None:
        model.train()
        for ids in domain.train.split(settings.batch_size):
            x = model.normalise(domain.images[ids].to(settings.device).float() / 255)
            loss = F.cross_entropy(model(x), domain.labels[ids].to(settings.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()

    return epoch


def speed(epoch: Callable[[], None], pictures: int, rounds: int, device: str) -> float:
    """Images per second, median over ``rounds`` after one to warm up."""
    seconds = []
    for _ in range(rounds + 1):
        started = perf_counter()
        epoch()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(perf_counter() - started)
    return pictures / median(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=20, help="steps in an epoch")
    parser.add_argument("--rounds", type=int, default=5, help="epochs that are timed")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print("Skipped: there is no CUDA device here. --device cpu with small sizes only shows that it runs")
        sys.exit(0)
    domain = synthetic(arguments.batch * arguments.steps, arguments.image_size)
    settings = Settings(batch_size=arguments.batch, precision="bfloat16", device=arguments.device)
    rows = []
    for label, trained in tqdm({"head": 1, "last block": 2, "all": 6}.items(), desc="Trained groups"):
        row = {"trained": label}
        for name, limit in {"lab": 0.0, "lab_cached": 8.0}.items():
            trainer, stage = lab(domain, trained, replace(settings, cache_limit_gb=limit))
            row[name] = partial(trainer.train_epoch, stage, 0, 0)
        row["plain_fp32"] = plain(domain, trained, settings)
        row["step_alone"] = step_alone(domain, trained, settings, arguments.steps)
        for name in list(row)[1:]:
            row[name] = speed(row[name], len(domain.train), arguments.rounds, arguments.device)
        rows.append(
            row
            | {"over_plain": row["lab"] / row["plain_fp32"], "of_step_alone": row["lab"] / row["step_alone"]}
        )
    save("gpu", rows, provenance(arguments.device), keep=arguments.device == "cuda", **vars(arguments))


if __name__ == "__main__":
    main()
