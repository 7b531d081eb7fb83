"""How other processes of this machine are started."""

import multiprocessing
import sys
from collections.abc import Sequence
from multiprocessing.context import BaseContext


def clean_context(preloaded: Sequence[str]) -> BaseContext:
    """Processes that share neither memory nor threads with this one, and among them the modules ``preloaded``.

    They are forked from a process that does nothing else, for one that runs threads can hang in its fork. Elsewhere
    than on Linux libraries of the system may not survive a fork, so that each process is begun anew.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preloaded))
    return context
