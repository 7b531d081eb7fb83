"""How exactly and how many pictures at a time activations are computed."""

import torch

from labutils.training.settings import PRECISIONS, Settings


def autocast(settings: Settings, device: torch.device) -> torch.autocast:
    """The context in which activations have the precision of the settings."""
    dtype = PRECISIONS[settings.precision]
    # The type must be a low one even where autocast is off, or torch warns.
    low = dtype if dtype != torch.float32 else torch.bfloat16
    return torch.autocast(device.type, dtype=low, enabled=dtype != torch.float32)


def pictures_per_pass(device: torch.device) -> int:
    """How many pictures to run at a time without gradients: few on a CPU, where more take memory and save no time."""
    return 32 if device.type == "cpu" else 256
