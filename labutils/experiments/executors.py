"""Who does independent runs: processes of this machine, a Dask cluster, or any executor that is given."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from threading import Event, Lock, Thread

import torch

from labutils.runtime.processes import clean_context
from labutils.runtime.progress import stoppable

MOST_WORKERS = 4  # by default: each takes more than a gigabyte of memory
ANSWER = 10  # seconds that a scheduler has to answer
KEPT = "Finished runs are kept: start again"
# What a run imports at the latest; imported once, before the workers are forked, they share its memory: a third of theirs.
PRELOADED = ["labutils.experiments.runs", "timm", "kornia.augmentation", "sklearn.metrics", "torch._dynamo"]
_one_run = Lock()


def default_workers() -> int:
    """Processes of this machine: one for each core up to 4, and 1 on a GPU."""
    return 1 if torch.cuda.is_available() else min(os.cpu_count() or 1, MOST_WORKERS)


def execute(run) -> dict:
    """Do a run in a worker, one at a time even where the worker has threads: torch's generator belongs to the process."""
    with _one_run, stoppable(Event()):  # without progress bars: whoever waits counts the runs
        return run.execute()


@contextmanager
def open_executor(workers: int | str | Executor, runs: int) -> Iterator[Executor]:
    """An executor for so many runs: processes of this machine, the Dask cluster at an address, or the one given, left open.

    Raises
    ------
    ConnectionError
        No scheduler answers at the address.
    RuntimeError
        An address is given and Dask is not installed; in the block: workers or scheduler were lost.
    """
    if isinstance(workers, Executor):
        yield workers
    elif isinstance(workers, str):
        with _cluster(workers) as executor:
            yield executor
    else:
        with _processes(min(workers, runs)) as executor:
            yield executor


@contextmanager
def _processes(count: int) -> Iterator[Executor]:
    with ProcessPoolExecutor(
        count, clean_context(PRELOADED), initializer=_prepare_worker, initargs=(dict(os.environ),)
    ) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise RuntimeError(
                f"A worker process was ended from outside, most often for lack of memory. {KEPT}, "
                "with fewer workers (--workers 1) or smaller pictures"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.terminate()  # or Ctrl-C would wait for runs that nobody wants any more
            raise


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    try:
        from distributed import Client, KilledWorker
    except ImportError as error:
        raise RuntimeError(f"A cluster ({address}) needs Dask: pip install distributed") from error
    try:
        client = Client(address, timeout=ANSWER)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"No Dask scheduler answers at {address} ({error}). Start `dask scheduler` there, and on each machine "
            "`dask worker ADDRESS --nthreads 1` with the lab installed"
        ) from error
    with client:  # closing it takes back what is not done
        if not client.scheduler_info()["workers"]:
            print(f"The scheduler at {address} has no workers yet: the runs begin when one joins")
        try:
            yield client.get_executor()
        except KilledWorker as error:
            raise RuntimeError(
                f"A run ended several workers of the cluster, most often for lack of memory. {KEPT}, "
                f"with smaller pictures or larger workers ({error})"
            ) from error
        except CancelledError as error:
            raise RuntimeError(f"The scheduler at {address} was lost. {KEPT}") from error


def _prepare_worker(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)  # as it is now, not as it was when the first workers of this process began
    torch.set_num_threads(1)
    Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """A worker whose parent was killed would otherwise wait for its next run for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)
