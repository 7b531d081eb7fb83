"""A finished classifier: pictures of any kind in, a table of names and probabilities out."""

import copy
import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from labutils.analysis.calibration import fit_temperature
from labutils.data import Domain
from labutils.data.decoding import fault
from labutils.deploy.novelty import Novelty
from labutils.deploy.pictures import Preparation, found
from labutils.networks.adapters import is_adapter, merge_adapters
from labutils.networks.groups import LayerGroups, inference
from labutils.runtime.devices import pick_device
from labutils.runtime.progress import progress_bar
from labutils.runtime.words import listed
from labutils.training.compatibility import require_fitting
from labutils.training.evaluation import not_finite
from labutils.training.settings import Settings

MOST_EXAMPLES = 2000  # training pictures that "unfamiliar" is learned from; more take time and change little
AT_A_TIME = 32


class Classifier(nn.Module):
    """A trained network with everything that it needs to answer for a picture as it lies on a disk.

    `pack` makes one of a trained network, `open_classifier` of a file.

    Parameters
    ----------
    model : LayerGroups
    classes : sequence of str
        Names of its outputs.
    preparation : Preparation
        How pictures become what it was trained on.
    temperature : float, default 1
        From `fit_temperature`: logits are divided by it.
    novelty : Novelty, optional
        Tells pictures that are unlike all training pictures.
    tested_on : str, optional
        `test_digest` of the pictures that it was not trained on.
    """

    def __init__(
        self,
        model: LayerGroups,
        classes: tuple[str, ...],
        preparation: Preparation,
        temperature: float = 1.0,
        novelty: Novelty | None = None,
        tested_on: str = "",
    ):
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"temperature={temperature} is out of range: use a number above 0")
        # The memory order decides how convolutions add up: with the same one, reloaded weights answer to the last bit.
        self.model, self.classes = model.to(memory_format=torch.channels_last), tuple(classes)
        self.preparation, self.temperature, self.novelty = preparation, float(temperature), novelty
        self.tested_on = tested_on
        self.requires_grad_(False).eval()

    def __repr__(self) -> str:
        size = self.preparation.image_size
        return f"Classifier({self.model.backbone}, {size} px: {listed(self.classes)})"

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities, shape (N, classes), and whether unfamiliar, shape (N,), of prepared bytes (N, channels, S, S)."""
        features, logits = self.parts(images)
        probabilities = (logits / self.temperature).softmax(1)
        if self.novelty is None:
            return probabilities, torch.zeros_like(probabilities[:, 0], dtype=torch.bool)
        return probabilities, self.novelty(features) > self.novelty.threshold

    def parts(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What the head is given, averaged over the picture, and its logits."""
        pixels = self.model.normalise(images.float() / 255).contiguous(memory_format=torch.channels_last)
        features = self.model[:-1](pixels)
        return features.flatten(2).mean(2) if features.ndim == 4 else features, self.model.head(features)

    def probabilities(self, images: Tensor) -> Tensor:
        """Probabilities, shape (N, classes), of pictures of a domain: uint8 of shape (N, channels, S, S), on the CPU.

        For any other pictures there is `predict`.
        """
        size, channels = self.preparation.image_size, self.preparation.channels
        if images.dtype != torch.uint8 or tuple(images.shape[1:]) != (channels, size, size):
            raise ValueError(
                f"Prepared pictures are uint8 of shape (N, {channels}, {size}, {size}), not {images.dtype} of shape "
                f"{tuple(images.shape)}: give others to predict, which prepares them"
            )
        return torch.cat([self._answer(part)[0] for part in images.split(AT_A_TIME)])

    def predict(self, what: Any, top: int = 1) -> pd.DataFrame:
        """What is to be seen on one or many pictures of any size and mode.

        Parameters
        ----------
        what : path, folder, PIL picture, array, tensor, or a list of any of these
            A folder counts with all pictures in it, at any depth. Arrays and tensors: see `from_numbers`.
        top : int, default 1
            How many classes to name, the most probable first.

        Returns
        -------
        DataFrame
            A row a picture: file, class, probability (0 to 1), with ``top=2`` or more also "class 2", "probability 2"
            and so on; unfamiliar (the picture is unlike all training pictures, do not trust the prediction); note (why a
            file could not be read; its class is then missing).

        Raises
        ------
        FileNotFoundError, ValueError, TypeError
            Nothing there, or no picture; the message says what to do.
        """
        if not 1 <= top <= len(self.classes):
            raise ValueError(
                f"top={top} is out of range: use 1 to {len(self.classes)}, the number of classes"
            )
        pictures = found(what)
        rows = []
        with ThreadPoolExecutor(4) as pool, progress_bar(total=len(pictures), desc="Predicting") as bar:
            for first in range(0, len(pictures), AT_A_TIME):
                some = pictures[first : first + AT_A_TIME]
                # Pictures in memory here, one by one: two threads must not decode the same object.
                waiting = [
                    pool.submit(self._prepared, each) if isinstance(each[1], Path) else self._prepared(each)
                    for each in some
                ]
                prepared = [each.result() if isinstance(each, Future) else each for each in waiting]
                rows += self._rows(some, prepared, top)
                bar.update(len(some))
        return pd.DataFrame(rows)

    def _prepared(self, named: tuple[str, Any]) -> Tensor | str:
        try:
            return self.preparation(named[1])
        except Exception as error:  # Pillow's decoders raise a dozen kinds on damaged files
            return fault(named[0], error)

    def _rows(self, some: list[tuple[str, Any]], prepared: list[Tensor | str], top: int) -> list[dict]:
        readable = [pixels for pixels in prepared if isinstance(pixels, Tensor)]
        answers = iter(zip(*self._answer(torch.stack(readable)), strict=True)) if readable else iter(())
        rows = []
        for (name, _), pixels in zip(some, prepared, strict=True):
            row = {"file": name}
            known = isinstance(pixels, Tensor)
            probabilities, unfamiliar = (
                next(answers) if known else (torch.full((len(self.classes),), torch.nan), False)
            )
            best = probabilities.topk(top)
            for place in range(top):
                number = f" {place + 1}" if place else ""
                row[f"class{number}"] = self.classes[best.indices[place]] if known else None
                row[f"probability{number}"] = float(best.values[place])
            rows.append({**row, "unfamiliar": bool(unfamiliar), "note": "" if known else pixels})
        return rows

    def _answer(self, images: Tensor) -> tuple[Tensor, Tensor]:
        device = pick_device()
        self.to(device)
        with inference(self):
            probabilities, unfamiliar = self(images.to(device))
        return probabilities.cpu(), unfamiliar.cpu()


def test_digest(domain: Domain) -> str:
    """Short name of the test pictures, by the names of their files: differs as soon as one is another."""
    names = domain.files or range(len(domain.images))
    listed = "\n".join(sorted(str(names[i]) for i in domain.test.tolist()))
    return hashlib.sha256(listed.encode(errors="surrogateescape")).hexdigest()[:16]


def pack(model: LayerGroups, domain: Domain, temperature: float | None = None) -> Classifier:
    """A finished classifier of a trained network; the network itself stays as it is and where it is.

    Parameters
    ----------
    model : LayerGroups
        Adapters are merged in the copy.
    domain : Domain
        What it was trained on: gives names and preparation of pictures, and the examples of what is familiar.
    temperature : float, optional
        Default: fitted on the validation pictures, and not below 1. Few pictures without a mistake would
        otherwise make the network certain of everything.

    Raises
    ------
    ValueError
        Not as many names as outputs, classes that the network does not know, or weights that are not numbers.
    """
    domain, outputs = require_fitting(model, domain, Settings())
    if len(domain.classes) != outputs:
        raise ValueError(
            f"{len(domain.classes)} names for {outputs} outputs: {', '.join(domain.classes)}. Build the model with "
            f"num_classes={len(domain.classes)}"
        )
    if domain.only_test:
        raise ValueError(f"{domain.name} is a test set: give the pictures that the network was trained on")
    model = copy.deepcopy(model).float()
    if any(is_adapter(name) for name, _ in model.named_parameters()):
        merge_adapters(model)
    classifier = Classifier(
        model,
        domain.classes,
        Preparation(**asdict(domain.preparation), channels=domain.channels),
        1.0 if temperature is None else temperature,
        tested_on=test_digest(domain),
    )
    validation, logits = _seen(classifier, domain, domain.validation)
    if not logits.isfinite().all():
        raise ValueError(not_finite(model, int((~logits.isfinite()).any(1).sum()), len(logits)))
    if temperature is None:
        classifier.temperature = max(1.0, fit_temperature(logits, domain.labels[domain.validation]))
    order = torch.randperm(len(domain.train), generator=torch.Generator().manual_seed(0))
    examples = domain.train[order[:MOST_EXAMPLES]]
    train, _ = _seen(classifier, domain, examples)
    classifier.novelty = Novelty.fit(train, domain.labels[examples], validation)
    return classifier


def _seen(classifier: Classifier, domain: Domain, ids: Tensor) -> tuple[Tensor, Tensor]:
    device = pick_device()
    classifier.to(device)
    parts = []
    with inference(classifier):
        for some in progress_bar(ids.split(AT_A_TIME), desc="Learning what is familiar"):
            parts.append([part.float().cpu() for part in classifier.parts(domain.images[some].to(device))])
    features, logits = zip(*parts, strict=True)
    return torch.cat(features), torch.cat(logits)
