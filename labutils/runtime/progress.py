"""Progress bars for everything that takes more than two seconds, and a way to stop what shows one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event

from tqdm.auto import tqdm

_stop: ContextVar[Event | None] = ContextVar("stop", default=None)


class Stopped(Exception):
    """Work was ended from outside by the event given to `stoppable`."""


class Bar(tqdm):
    """A tqdm bar whose loop ends with `Stopped` when the work around it is to stop."""

    def __iter__(self) -> Iterator:
        for item in super().__iter__():
            check_stop()
            yield item

    def __exit__(self, kind, error, trace) -> None:
        if kind is None:
            self.total = self.n  # ended early on purpose: tqdm's bar for notebooks would turn red and stay
        super().__exit__(kind, error, trace)


def progress_bar(*arguments, **options) -> tqdm:
    """A bar that shows after two seconds, leaves nothing behind, and is off where ``LAB_PROGRESS=off``."""
    # Given here, because tqdm's bar for notebooks does not obey its own TQDM_DISABLE.
    off = os.environ.get("LAB_PROGRESS") == "off" or _stop.get() is not None
    return Bar(*arguments, delay=2, leave=False, disable=off, **options)


@contextmanager
def stoppable(stop: Event) -> Iterator[None]:
    """Inside the block every loop with a bar ends with `Stopped` soon after ``stop`` is set.

    For work in a thread of its own behind a stop button: the button's owner shows the progress, so bars are off.
    """
    token = _stop.set(stop)
    try:
        yield
    finally:
        _stop.reset(token)


def check_stop() -> None:
    """Raise `Stopped` if the work is to stop."""
    if (stop := _stop.get()) is not None and stop.is_set():
        raise Stopped
