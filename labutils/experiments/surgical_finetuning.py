"""A shift of the input, and which block of groups to tune for it (Lee et al. 2023, "Surgical fine-tuning")."""

import copy
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from torch.nn import functional as F

from labutils.data import Domain
from labutils.data.streaming import StreamedPictures
from labutils.experiments.runs import open_domain
from labutils.networks.backbones import DEFAULT_BACKBONE, build_feature_extractor
from labutils.networks.groups import LayerGroups
from labutils.runtime.files import read_json, write_json
from labutils.runtime.progress import progress_bar
from labutils.training.activation_cache import ActivationCache
from labutils.training.evaluation import evaluate
from labutils.training.loop import fit
from labutils.training.settings import Settings
from labutils.training.stages import partial_finetune

# Three that still see fine detail, one in the middle, one before the head.
BLOCKS: dict[str, str | tuple[str, str]] = {
    "first": ("stem", "layer2"),
    "middle": "layer3",
    "last": "layer4",
    "head": "head",
    "all": ("stem", "head"),
}
# Few pictures, so many small steps; the weights of the last epoch, so that nothing is chosen inside a run.
ADAPTING = Settings(epochs=15, batch_size=8, keep_best=False, validate_every=15)
RATES = (3e-4, 1e-3, 3e-3)


def inverted(images: torch.Tensor) -> torch.Tensor:
    """Dark becomes bright, as in a photographic negative. Takes and gives uint8."""
    return 255 - images


def blurred(images: torch.Tensor, width: int = 7) -> torch.Tensor:
    """Each pixel becomes the mean of a square of ``width`` pixels around it. Takes and gives uint8 (N, C, S, S)."""
    around = F.pad(images.float(), (width // 2,) * 4, mode="replicate")
    return F.avg_pool2d(around, width, stride=1).round().to(torch.uint8)


SHIFTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"inverted": inverted, "blurred": blurred}


def shifted(domain: Domain, shift: str) -> Domain:
    """The same pictures, labels and splits after a shift of the input; what is to be recognised stays the same.

    Raises
    ------
    ValueError
        Unknown shift; the message lists those there are. Or the pictures are streamed: the shift is made in memory.
    """
    if shift not in SHIFTS:
        raise ValueError(f"Unknown shift {shift!r}: use one of {', '.join(SHIFTS)}")
    if isinstance(domain.images, StreamedPictures):
        raise ValueError(
            f"{domain!r} cannot be shifted, which is done in memory: open the folder with a smaller image_size or "
            "fewer pictures"
        )
    return replace(domain, name=f"{domain.name}, {shift}", images=SHIFTS[shift](domain.images))


def evaluation_subset(domain: Domain, looked_at: int) -> Domain:
    """The same domain with at most so many validation and test pictures, spread evenly: ids may be sorted by class."""

    def spread(ids: torch.Tensor) -> torch.Tensor:
        count = min(looked_at, len(ids))
        return ids[torch.arange(count) * len(ids) // count]

    return replace(domain, validation=spread(domain.validation), test=spread(domain.test))


def train_source(
    domain: Domain, backbone: str = DEFAULT_BACKBONE, *, epochs: int = 10, seed: int | None = None
) -> LayerGroups:
    """A network that knows the pictures as they were before the shift: a head trained on frozen features."""
    settings = Settings(epochs=epochs, base_lr=1e-2, **({} if seed is None else {"seed": seed}))
    model = build_feature_extractor(backbone, len(domain.classes), seed=settings.seed)
    fit(model, domain, settings)
    return model


def adapt(
    source: LayerGroups,
    domain: Domain,
    groups: int | str | tuple[str, str],
    base_lr: float,
    settings: Settings = ADAPTING,
) -> LayerGroups:
    """A copy of ``source`` in which one block was trained on the training pictures of ``domain``; the head is kept.

    Parameters
    ----------
    source : LayerGroups
        Not changed.
    groups : int, str or (str, str)
        See `labutils.networks.freezing.block`. Nothing else is trained, and the head only if it is in the block.
    base_lr : float
        One rate for all groups of the block, so that a shallow block is not slowed down.
    settings : Settings
        Its ``base_lr`` and ``lr_decay`` are not used.
    """
    model = copy.deepcopy(source)
    settings = replace(settings, base_lr=base_lr, lr_decay=1.0)
    stages = partial_finetune(model, groups, epochs=settings.epochs, base_lr=base_lr, head=False)
    fit(model, domain, settings, stages)
    return model


def surgical_experiment(
    domain: str | Domain,
    shift: str,
    labels: int,
    blocks: dict[str, str | tuple[str, str]] = BLOCKS,
    rates: Sequence[float] = RATES,
    *,
    source_labels: int = 720,
    looked_at: int = 300,
    settings: Settings = ADAPTING,
    seeds: Sequence[int] = (0, 1, 2),
    image_size: int = 64,
    backbone: str = DEFAULT_BACKBONE,
    store: str | Path | None = None,
) -> pd.DataFrame:
    """Train a source network, shift its pictures, and tune one block at a time with few labels.

    Parameters
    ----------
    domain : str or Domain
    shift : str
        A name in `SHIFTS`.
    labels : int
        Labelled pictures after the shift, drawn by each seed.
    blocks : dict of str to block
        See `labutils.networks.freezing.block`.
    rates : sequence of float
        Each block is tuned with each of them, for blocks of different depth want different rates; the head alone, a
        linear layer, with three times each. Choose by the validation accuracy (`at_best_rate`).
    source_labels : int, default 720
        Labelled pictures, as they were, that the source network gets.
    looked_at : int, default 300
        At most so many validation and so many test pictures are looked at.
    store : path, optional
        Folder for a file a seed and block, written as soon as it is done.

    Returns
    -------
    DataFrame
        A row for each seed, block and rate: domain, shift, block, base_lr, seed, ``unshifted`` and ``before`` (test
        accuracy of the source network on pictures as they were, and on shifted ones), validation_accuracy and
        test_accuracy (of the adapted network, on shifted pictures).
    """
    opened = open_domain(domain, image_size)
    opened = evaluation_subset(opened, looked_at)
    facts = (
        opened.fingerprint,
        backbone,
        shift,
        labels,
        tuple(rates),
        source_labels,
        looked_at,
        settings.digest,
    )
    rows = []
    with progress_bar(total=len(seeds) * len(blocks), desc=f"Surgery on {opened.name}") as bar:
        for seed in seeds:
            source = None
            for name, groups in blocks.items():
                key = hashlib.sha256(repr((facts, seed, name, groups)).encode()).hexdigest()[:16]
                file = Path(store) / f"surgical-{key}.json" if store else None
                done = read_json(file) if file else None
                if done is None:
                    source = source or train_source(opened.labelled(source_labels, seed), backbone, seed=seed)
                    factor = 3 if groups == "head" else 1
                    tried = [float(f"{factor * rate:.12g}") for rate in rates]
                    done = _operate(
                        source, opened, shift, labels, groups, tried, replace(settings, seed=seed)
                    )
                    done = [{"domain": opened.name, "shift": shift, "block": name, **row} for row in done]
                    if file:
                        write_json(file, done)
                rows += done
                bar.update()
    return pd.DataFrame(rows)


def _operate(source, original, shift, labels, groups, rates, settings) -> list[dict]:
    changed = shifted(original, shift).labelled(labels, settings.seed)
    knew, before = (evaluate(source, domain, "test").accuracy for domain in (original, changed))
    cache, rows = ActivationCache(), []
    for rate in rates:
        model = adapt(source, changed, groups, rate, settings)
        rows.append(
            {
                "base_lr": rate,
                "seed": settings.seed,
                "unshifted": knew,
                "before": before,
                "validation_accuracy": evaluate(model, changed, "validation", cache=cache).accuracy,
                "test_accuracy": evaluate(model, changed, "test", cache=cache).accuracy,
            }
        )
    return rows
