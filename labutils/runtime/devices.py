"""Where to compute: cuda, mps or cpu."""

import os

import torch

CPU = torch.device("cpu")


def pick_device(name: str | None = None) -> torch.device:
    """Choose where to compute: ``name``, else the variable ``LAB_DEVICE``, else cuda, mps, cpu, as present.

    Raises
    ------
    ValueError
        When the device asked for is unknown or absent.
    """
    name = name or os.environ.get("LAB_DEVICE") or None
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name is None:
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if present[kind]))
    kind = name.split(":")[0]
    if not present.get(kind, False):
        raise ValueError(
            f"Device {name!r} is not available here; present: {[k for k, there in present.items() if there]}"
        )
    try:
        device = torch.device(name)
    except RuntimeError as error:  # "cpu:x"
        raise ValueError(f"Device {name!r} is not a name of a device: use {kind!r}") from error
    if kind == "cuda" and (device.index or 0) >= (count := torch.cuda.device_count()):
        raise ValueError(f"Device {name!r} is not available here; present: cuda:0 to cuda:{count - 1}")
    return device
