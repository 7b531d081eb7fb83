"""A finished classifier in one file: numbers as safetensors, and all else as JSON in the file's metadata."""

import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from labutils.data import Domain
from labutils.deploy.classifier import Classifier, pack
from labutils.deploy.layers import NotDescribed, describe, rebuild
from labutils.deploy.novelty import Novelty
from labutils.deploy.pictures import Preparation
from labutils.networks.backbones import load_backbone
from labutils.networks.groups import LayerGroups
from labutils.runtime.files import atomic_write

FORMAT = "transfer-learning-lab classifier 2"


def save(model: LayerGroups, domain: Domain, path: str | Path) -> Path:
    """Write a trained network with everything that it needs to answer for new pictures; `open_classifier` reads it.

    Parameters
    ----------
    model : LayerGroups
        Stays as it is.
    domain : Domain
        What it was trained on; see `pack`.
    path : path
        Usually ending in ``.safetensors``.

    Raises
    ------
    ValueError, OSError
        As `pack` and `save_classifier`.

    Examples
    --------
    >>> lab.save(model, domain, "flowers.safetensors")  # doctest: +SKIP
    >>> lab.open_classifier("flowers.safetensors").predict("new.jpg")  # doctest: +SKIP
    """
    return save_classifier(pack(model, domain), path)


def save_classifier(classifier: Classifier, path: str | Path) -> Path:
    """Write a classifier that was made by `pack`.

    Unlike a pickle, such as ``torch.save`` writes, the file holds numbers and text only: reading a stranger's runs no
    code.

    Raises
    ------
    ValueError
        A network that cannot be made again from its name.
    OSError
        The file cannot be written; an older one stays as it was.
    """
    description = {
        "backbone": classifier.model.backbone,
        "head": _described(classifier.model.head),
        "classes": classifier.classes,
        "preparation": asdict(classifier.preparation),
        "mean": classifier.model.mean,
        "std": classifier.model.std,
        "temperature": classifier.temperature,
        "tested_on": classifier.tested_on,
        "lab": version("transfer-learning-lab"),
    }
    _require_same_shapes(classifier.model, description)
    tensors = {
        name: tensor.detach().cpu().contiguous().clone() for name, tensor in classifier.state_dict().items()
    }
    with atomic_write(path) as temporary:
        try:
            save_file(tensors, temporary, {"format": FORMAT, "classifier": json.dumps(description)})
        except SafetensorError as error:  # so it reports a disk that is full
            raise OSError(str(error)) from error
    return Path(path)


def open_classifier(path: str | Path, head: nn.Module | None = None) -> Classifier:
    """The classifier that `save` wrote; it answers as it did, to the last bit.

    Parameters
    ----------
    path : path
    head : Module, optional
        A head of one's own class, with any weights: the file holds them, but not the code.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is another's, or not whole, or needs a ``head``.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}: save(model, domain, path) writes one")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError(
                    f"{path} was not written by labutils.save of this version: save the network again"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a complete safetensors file ({error}): save the network again"
        ) from error
    description = json.loads(metadata["classifier"])
    own = description["head"].get("own")
    if head is None and own:
        raise ValueError(
            f"The head in {path} is a module of one's own, {own}, and a file holds no code: "
            f"open_classifier(path, head={own}(…))"
        )
    model = load_backbone(description["backbone"], pretrained=False)
    model.head = rebuild(description["head"]) if head is None else head
    model.mean, model.std = tuple(description["mean"]), tuple(description["std"])
    model.stored_statistics = True
    model.classes = description["classes"]
    novelty = None
    if "novelty.centres" in tensors:
        classes, features = tensors["novelty.centres"].shape
        novelty = Novelty(features, classes)
    scale = description["preparation"].pop("scale")
    preparation = Preparation(**description["preparation"], scale=scale and tuple(scale))
    classifier = Classifier(
        model,
        description["classes"],
        preparation,
        description["temperature"],
        novelty,
        description.get("tested_on", ""),
    )
    try:
        classifier.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(f"The weights in {path} do not fit the network: {error}") from error
    return classifier


def _described(head: nn.Module) -> dict:
    try:
        return describe(head)
    except NotDescribed:
        return {"own": type(head).__name__}


def _require_same_shapes(model: LayerGroups, description: dict) -> None:
    """Make the network again as `open_classifier` will: an error now is worth more than one on Monday."""
    try:
        again = load_backbone(description["backbone"], pretrained=False)
    except ValueError as error:
        raise ValueError(
            f"A file names its network, and this one has no name to make it again by. {error}"
        ) from error
    ours, theirs = (
        {name: tuple(tensor.shape) for name, tensor in one[:-1].state_dict().items()}
        for one in (model, again)
    )
    if other := [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]:
        raise ValueError(
            f"The network is not the {description['backbone']} that its name says: {', '.join(other[:5])} are other than "
            "there. Add your network to labutils.BACKBONES under a name of its own"
        )
