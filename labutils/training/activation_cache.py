"""Run the frozen prefix once, train the suffix on what it gave."""

import hashlib
import math
import os
import shutil
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import count
from pathlib import Path

import torch

from labutils.data import Domain
from labutils.data.augmentation import Augmentation
from labutils.data.streaming import ReadAhead
from labutils.networks.groups import LayerGroups, inference
from labutils.networks.inference_engine import fastest
from labutils.runtime.files import data_folder
from labutils.runtime.progress import progress_bar
from labutils.runtime.tensors import digest
from labutils.training.precision import autocast, pictures_per_pass
from labutils.training.settings import Settings

# Pixels per channel from which an inference engine saves more time than its preparation takes: 200 pictures of 128 px.
PAYS_FROM = 200 * 128 * 128

_numbers = count()  # tells whose tables are whose; the id() of a dead object may come again


class Inputs:
    """What the trainable groups get to see: activations of the frozen prefix, or pictures if there is none.

    Parameters
    ----------
    model : LayerGroups
        Its first ``model.freeze_depth`` groups are the prefix; in evaluation mode they are a fixed function.
    domain : Domain
    settings : Settings
    cache : ActivationCache
        Holds the activations; with a limit of 0 everything is recomputed.
    """

    def __init__(self, model: LayerGroups, domain: Domain, settings: Settings, cache: "ActivationCache"):
        self.domain, self.settings, self.cache = domain, settings, cache
        self.number = next(_numbers)
        self.pictures = ReadAhead(domain.images)
        self.device = next(model.parameters()).device
        self.depth = min(model.freeze_depth, len(model) - 1)
        self.prefix, self._normalise = model[: self.depth], model.normalise
        self.augmentation = Augmentation(
            settings.augmentation, len(domain.images), domain.image_size, settings.seed
        )
        facts = (model.mean, model.std, model.image_size, list(map(repr, self.prefix.children())))
        self._prefix_digest = (digest(self.prefix.state_dict()), *map(repr, facts)) if self.depth else ()

    def view(self, epoch: int) -> int:
        """The augmented view to train on: a fresh one each epoch, or one of the few that the cache holds."""
        return epoch % self.settings.views if self.depth else epoch

    def engine_pays_off(self, ids: torch.Tensor, view: int | None) -> bool:
        """Whether an inference engine for the prefix saves more time on ``ids`` than preparing it takes.

        Known before anything is run or timed: a resumed run must compute as the interrupted one did.
        """
        views = self.settings.views if self.augmentation.names and view is not None else 1
        pixels = len(ids) * views * self.domain.image_size**2
        return self.settings.precision == "float32" and pixels >= PAYS_FROM

    def runner(self, ids: torch.Tensor, view: int | None) -> Callable[[torch.Tensor], torch.Tensor]:
        """What runs the prefix where all of ``ids`` will be asked for; goes to `compute`."""
        return self._engine if self.depth and self.engine_pays_off(ids, view) else self.prefix

    @cached_property
    def _engine(self) -> Callable[[torch.Tensor], torch.Tensor]:
        size = (3, self.domain.channels, self.domain.image_size, self.domain.image_size)
        noise = torch.rand(size, generator=torch.Generator().manual_seed(0))
        some = torch.linspace(
            0, len(self.domain.images) - 1, 3
        ).long()  # what depends on the picture shows on pictures
        pixels = torch.cat([noise, self.domain.images[some].float() / 255]).to(self.device)
        with inference(self.prefix):
            return fastest(self.prefix, self._normalise(pixels))

    def compute(
        self,
        ids: torch.Tensor,
        view: int | None,
        run: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Activations of the pictures ``ids`` (int64, on the CPU) at the end of the prefix, on the device."""
        with inference(self.prefix), autocast(self.settings, self.device):
            pixels = self.pictures[ids].to(self.device, non_blocking=True).float().div_(255)
            x = self._normalise(self.augmentation(pixels, ids, view))
            if self.settings.channels_last:
                x = x.contiguous(memory_format=torch.channels_last)
            return (run or self.prefix)(x)

    def lookup(
        self, ids: torch.Tensor, view: int | None = None, batches: Iterable[torch.Tensor] = ()
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        """A function from sample ids, all of them in ``ids``, to their inputs. Fills the cache if it is used.

        ``batches`` are the ids in the order in which they will be asked for: pictures in files are decoded ahead.
        """
        if self.depth:
            table = self.cache.table(self, ids, view)
            if table is not None:
                return table
        run = self.runner(ids, view)
        self.pictures.announce(batches)
        return lambda wanted: self.compute(wanted, view, run)

    def key(self, ids: torch.Tensor, view: int | None) -> tuple:
        """All that the activations depend on: weights, cut, pictures, view, precision, who computes them."""
        return (
            *self._prefix_digest,
            self.depth,
            self.domain.fingerprint,
            hashlib.sha256(ids.numpy().tobytes()).hexdigest(),
            self.augmentation.key(view),
            self.settings.precision,
            self.settings.channels_last,
            str(self.device),
            self.engine_pays_off(ids, view),
        )


class Table:
    """Activations of some samples; calling it with sample ids gives their rows."""

    def __init__(
        self, inputs: Inputs, ids: torch.Tensor, view: int | None, first: torch.Tensor, folder: Path | None
    ):
        self._rows_last, self._channels_last = first.ndim == 4, inputs.settings.channels_last
        # Rows are stored as height, width, channel, so that taking some gives channels-last batches for free.
        first = first.permute(0, 2, 3, 1) if self._rows_last else first
        shape = (len(ids), *first.shape[1:])
        if folder is None:
            self.values = torch.empty(shape, dtype=first.dtype, device=first.device)
        else:
            self.values = _mapped(folder, shape, first.dtype)
        self.bytes = self.values.nbytes
        self.on_disk, self.owner = folder is not None, inputs.number
        self._device = inputs.device
        self._row = torch.full((len(inputs.domain.images),), -1, dtype=torch.int64)
        self._row[ids] = torch.arange(len(ids))
        size = pictures_per_pass(inputs.device)
        chunks, run = ids.split(size), inputs.runner(ids, view)
        inputs.pictures.announce(chunks)
        for i, chunk in enumerate(progress_bar(chunks, desc="Frozen groups, once")):
            x = inputs.compute(chunk, view, run)
            self.values[i * size : i * size + len(chunk)] = x.permute(0, 2, 3, 1) if self._rows_last else x

    def __call__(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.values[self._row[ids].to(self.values.device)].to(self._device)
        if not self._rows_last:
            return x
        x = x.permute(0, 3, 1, 2)
        return x if self._channels_last else x.contiguous()


class ActivationCache:
    """Tables of activations within a limit of memory, the oldest dropped first.

    Share one between runs that have the same frozen prefix: test pictures are then run through it once.

    Parameters
    ----------
    limit_gb : float, default 1.0
        Memory for all tables, in GB (1e9 bytes). A table that does not fit goes to a memory-mapped file under
        the data folder if the disk has room, and is otherwise not kept; a message says which. 0 keeps nothing.
    report : callable str -> None, default print
        Where the messages go.
    """

    def __init__(self, limit_gb: float = 1.0, report: Callable[[str], None] = print):
        self.limit = int(limit_gb * 1e9)
        self._report = report
        self._tables: OrderedDict[tuple, Table] = OrderedDict()
        self.hits = self.misses = 0

    @property
    def bytes(self) -> int:
        """Memory held now."""
        return sum(table.bytes for table in self._tables.values() if not table.on_disk)

    def table(self, inputs: Inputs, ids: torch.Tensor, view: int | None) -> Table | None:
        """The table for ``ids``, filled now if it is new; None where it is cheaper or safer to recompute."""
        if self.limit == 0:
            return None
        key = inputs.key(ids, view)
        if key in self._tables:
            self.hits += 1
            self._tables.move_to_end(key)
            self._tables[key].owner = inputs.number
            return self._tables[key]
        self.misses += 1
        first = inputs.compute(ids[:1], view)
        size = first.nbytes * len(ids)
        # Only tables of earlier runs make room: dropping this run's own would compute them anew every epoch.
        for old in [k for k, table in self._tables.items() if table.owner != inputs.number]:
            if self.bytes + size > self.limit:
                del self._tables[old]
        folder = None
        if self.bytes + size > self.limit:
            folder = self._spill(size)
            if folder is None:
                return None
        try:
            self._tables[key] = Table(inputs, ids, view, first, folder)
        except OSError as error:  # the disk filled up in the meantime: slower, but no reason to end a run
            self._report(f"Activations could not be kept in {folder} ({error}): computed anew each epoch")
            return None
        return self._tables[key]

    def announce(self, inputs: Inputs, ids: torch.Tensor, epochs: int) -> None:
        """Say beforehand how much memory the training pictures will take, if it is much."""
        if self.limit == 0 or inputs.depth == 0:
            return
        views = min(inputs.settings.views, epochs) if inputs.augmentation.names else 1
        row = inputs.compute(ids[:1], None).nbytes
        size = row * len(ids) * views
        if size > 1e8 or size > self.limit:
            self._report(
                f"Activation cache: {len(ids)} pictures × {views} view{'s' * (views > 1)} × {row / 1e3:,.1f} kB "
                f"= {size / 1e6:,.0f} MB (limit {self.limit / 1e6:,.0f} MB)"
            )

    def _spill(self, size: int) -> Path | None:
        folder = data_folder() / "activations"
        parent = folder if folder.exists() else data_folder()
        parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(parent).free
        if free < 2 * size:
            self._report(
                f"Activations of {size / 1e6:,.0f} MB fit neither the limit of {self.limit / 1e6:,.0f} MB nor the disk "
                f"({free / 1e6:,.0f} MB free): the frozen groups are computed anew each epoch"
            )
            return None
        self._report(
            f"Activations of {size / 1e6:,.0f} MB exceed the limit of {self.limit / 1e6:,.0f} MB: kept in a file"
        )
        return folder


def _mapped(folder: Path, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """An empty tensor in a file without a name, whose space is free again when the tensor is gone."""
    folder.mkdir(parents=True, exist_ok=True)
    size = math.prod(shape)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".activations", delete=False) as file:
        # Taking the space now turns a full disk into an error here instead of a crash at some later write.
        try:
            file.truncate(size * dtype.itemsize)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size * dtype.itemsize)
        except OSError:
            os.unlink(file.name)
            raise
    values = torch.from_file(file.name, shared=True, size=size, dtype=dtype).view(shape)
    try:
        os.unlink(file.name)
    except PermissionError:  # Windows keeps the name of a mapped file
        weakref.finalize(values, Path(file.name).unlink, missing_ok=True)
    return values
