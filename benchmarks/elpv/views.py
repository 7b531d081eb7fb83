"""What the frozen groups make of every cell, in each of its four mirrored views, computed once."""

from pathlib import Path

import numpy as np
import torch

from labutils.data import Domain
from labutils.networks.groups import LayerGroups, inference
from labutils.runtime.files import atomic_write
from labutils.runtime.progress import progress_bar
from labutils.runtime.tensors import digest
from labutils.training.precision import autocast, pictures_per_pass
from labutils.training.settings import Settings

VIEWS = 4  # quarter turns are left out: every picture shows its cell with the busbars upright


def mirrored(pictures: torch.Tensor, view: int) -> torch.Tensor:
    """View 0 to 3 of pictures (N, C, S, S): left to right if odd, upside down from 2 on; 0 changes nothing."""
    axes = [3] * (view % 2) + [2] * (view >= 2)
    return pictures.flip(axes)


class ViewTables:
    """Activations at a cut and at the end of the network, one pair of files a view, memory-mapped.

    All splits and seeds share them, for the frozen groups are the same. A file is whole or not there, so filling
    goes on where it was interrupted.

    Parameters
    ----------
    model : LayerGroups
        Pretrained; the groups before ``cut`` must stay frozen. Its head is not used.
    domain : Domain
    cut : str
        Name of the first group that will be trained.
    settings : Settings
        For precision and memory order.
    folder : Path

    Attributes
    ----------
    key : str
        Differs when anything differs that can change the activations.
    """

    def __init__(self, model: LayerGroups, domain: Domain, cut: str, settings: Settings, folder: Path):
        self.cut, place = cut, model.names.index(cut)
        self._prefix, self._rest, self._normalise = model[:place], model[place:-1], model.normalise
        self._domain, self._settings = domain, settings
        weights = digest(model[:-1].state_dict())
        self.key = f"{cut}-{domain.image_size}-{settings.precision}-{domain.fingerprint}-{weights}"
        self._stem = folder / self.key
        self._maps = None

    def _files(self, view: int) -> tuple[Path, Path]:
        return tuple(
            self._stem.with_name(f"{self._stem.name}-{what}-{view}.npy") for what in ("maps", "features")
        )

    def missing(self) -> list[int]:
        """Views that have not been computed yet."""
        return [view for view in range(VIEWS) if not all(file.exists() for file in self._files(view))]

    def fill(self, view: int) -> None:
        """Run all pictures of a view through the frozen network and keep both tables in float16."""
        maps, features = [], []
        ids = torch.arange(len(self._domain.images)).split(pictures_per_pass(torch.device("cpu")))
        with (
            inference(self._prefix),
            inference(self._rest),
            autocast(self._settings, torch.device("cpu")),
        ):
            for chunk in progress_bar(ids, desc=f"View {view}"):
                pixels = mirrored(self._domain.images[chunk], view).float().div_(255)
                x = self._prefix(self._normalise(pixels).contiguous(memory_format=torch.channels_last))
                maps.append(x.permute(0, 2, 3, 1).half().numpy())  # rows as height, width, channel
                features.append(self._rest(x).half().numpy())
        for file, parts in zip(self._files(view), (maps, features), strict=True):
            with atomic_write(file) as temporary:
                np.save(temporary, np.concatenate(parts))

    def maps(self, ids: torch.Tensor, views: torch.Tensor) -> torch.Tensor:
        """Activations before the cut of each cell in its view, float32 (n, C, h, w), channels last in memory."""
        if self._maps is None:
            self._maps = [np.load(self._files(view)[0], mmap_mode="r") for view in range(VIEWS)]
        rows = np.stack([self._maps[view][cell] for cell, view in zip(ids, views, strict=True)])
        return torch.from_numpy(rows).float().permute(0, 3, 1, 2)

    def features(self) -> torch.Tensor:
        """What the head of the untouched network is given, mean over the views, float32 (N, features)."""
        tables = [np.load(self._files(view)[1]).astype(np.float32) for view in range(VIEWS)]
        return torch.from_numpy(np.mean(tables, axis=0))
