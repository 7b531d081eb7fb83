"""More pictures than memory: read from their files when they are needed, ahead of time by worker processes."""

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from labutils.data.decoding import Preparation, fault, read_picture, room_for
from labutils.data.splits import DataError
from labutils.runtime.processes import clean_context

MOST_WORKERS = 8
LOST = (
    "A process that decodes pictures was lost ({error}), most often for lack of memory: use smaller batches or fewer "
    "programs at a time. In a container raise its shared memory (docker run --shm-size 2g)"
)


def decoding_workers() -> int:
    """Processes that decode for this one: one a core up to 8, shared between the ranks of a machine.

    None (0) for a worker process, which may have no children or shares the cores with other workers already.
    """
    if multiprocessing.parent_process() is not None:
        return 0
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    return max(1, min((os.cpu_count() or 1) // ranks, MOST_WORKERS))


class StreamedPictures:
    """Stands where the tensor of all pictures stands; holds the names of their files and decodes what is asked for.

    ``len``, ``shape``, ``dtype`` and ``pictures[ids]`` are those of a uint8 tensor of shape (N, 3, S, S), to the last
    bit; ``ids`` are whole numbers, a slice, or a mask.

    Parameters
    ----------
    folder : Path
        Absolute.
    names : sequence of str
        Files, relative to ``folder``.
    preparation : Preparation
        How a file becomes a square picture.
    stamp : str
        Changes with any file: what `Domain.fingerprint` takes for the pixels.
    """

    dtype = torch.uint8

    def __init__(self, folder: Path, names: Sequence[str], preparation: Preparation, stamp: str):
        self.shape = torch.Size((len(names), 3, preparation.image_size, preparation.image_size))
        self.stamp = stamp
        self._files = _Files(folder, names, preparation)
        self._idle: list[DataLoader] = []  # with their worker processes, which take seconds to start

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, ids) -> Tensor:
        """Decode here and now. Raises DataError for a damaged file, or when it would be more than 2 GB."""
        rows = torch.arange(len(self))[ids]
        pictures = room_for(rows.numel(), *self.shape[1:3])
        for i, row in enumerate(rows.flatten().tolist()):
            pictures[i] = _whole(self._files[row])
        return pictures.view(*rows.shape, *self.shape[1:])

    def __getattr__(self, name: str):
        raise AttributeError(
            f"{name!r} needs all pictures in memory, but there are so many that they are streamed from their files. "
            "Take some of them, images[ids], or open the folder with a smaller image_size or fewer pictures"
        )

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_idle": []}  # worker processes belong to the process that started them

    def batches(self, wanted: Iterable[Tensor]) -> Iterator[Tensor]:
        """Pictures of one batch of ids after another, a few batches decoded ahead by worker processes.

        Workers start with the first batch and stay for later calls, until the pictures are dropped.

        Raises
        ------
        DataError
            A file cannot be read; the message names it.
        RuntimeError
            A worker process was lost.
        """
        loader = self._idle.pop() if self._idle else self._loader()
        loader.batch_sampler.wanted = wanted
        try:
            with _no_main_module():
                stream = iter(loader)
            for batch in stream:
                yield _whole(batch)
        except (RuntimeError, OSError, EOFError) as error:  # the latter two: lost while handing over
            raise RuntimeError(LOST.format(error=error)) from error
        except (GeneratorExit, DataError):
            self._idle.append(loader)
            raise
        self._idle.append(loader)

    def _loader(self) -> DataLoader:
        count, workers = decoding_workers(), {}
        if count:
            workers = {
                "num_workers": count,
                "persistent_workers": True,
                "multiprocessing_context": clean_context([__name__]),
            }
        return DataLoader(
            self._files,
            batch_sampler=_Wanted(),
            collate_fn=_stack,
            generator=torch.Generator(),  # or it would draw from the one that dropout draws from
            **workers,
        )


class ReadAhead:
    """Pictures by sample ids, as ``images[ids]`` gives them; what was announced is ready sooner, if it is in files."""

    def __init__(self, images: Tensor | StreamedPictures, batches: Iterable[Tensor] = ()):
        self._images = images
        self._expected: deque[Tensor] = deque()
        self._stream: Iterator[Tensor] | None = None
        self.announce(batches)

    def announce(self, batches: Iterable[Tensor]) -> None:
        """Say which ids will be asked for next, batch by batch. Asking for others is slower, but no error."""
        if isinstance(self._images, StreamedPictures):
            self._expected = deque(batches)
            self._stream = self._images.batches(tuple(self._expected))

    def __getitem__(self, ids: Tensor) -> Tensor:
        if not self._expected:
            return self._images[ids]
        if torch.equal(self._expected.popleft(), ids):
            pictures = next(self._stream)
        else:
            self._expected.clear()
            pictures = self._images[ids]
        if not self._expected:
            self._stream = None  # gives its workers back
        return pictures


class _Files(Dataset):
    """Picture by number, or what is wrong with its file."""

    def __init__(self, folder: Path, names: Sequence[str], preparation: Preparation):
        self.folder, self.preparation = folder, preparation
        # A tensor, a row a name, is shared with the workers; of a list each would get a copy.
        table = numpy.array([os.fsencode(name) for name in names])
        self.names = torch.from_numpy(table.view(numpy.uint8).reshape(len(names), -1))

    def __getitem__(self, index: int) -> Tensor | str:
        name = os.fsdecode(self.names[index].numpy().tobytes().rstrip(b"\0"))
        try:
            return read_picture(self.folder / name, self.preparation)
        except Exception as error:  # Pillow's decoders raise a dozen kinds on damaged files
            return f"{fault(name, error)} in {self.folder} could not be read"


class _Wanted:
    """Tells the loader which batches to make; what is wanted changes, the loader and its workers stay."""

    wanted: Iterable[Tensor] = ()

    def __iter__(self) -> Iterator[list[int]]:
        return (ids.tolist() for ids in self.wanted)


def _stack(pictures: list[Tensor | str]) -> Tensor | str:
    # Passed on as text: an error raised in a worker would reach the reader as two tracebacks in one.
    return next((item for item in pictures if isinstance(item, str)), None) or torch.stack(pictures)


def _whole(pictures: Tensor | str) -> Tensor:
    if isinstance(pictures, str):
        raise DataError(
            f"{pictures}. Repair or remove it, or open the folder with skip_unreadable=True, which leaves such "
            "pictures out"
        )
    return pictures


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Processes started inside the block do not import the program again: a script would train once more in each."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
