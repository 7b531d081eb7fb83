"""How many threads to compute with, measured: where others want the cores, too, two can be many times slower than one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

import torch

ROUNDS = 3


@contextmanager
def fastest_thread_count(work: Callable[[], object]) -> Iterator[int]:
    """Inside the block torch computes with as many threads as before, or with one, whichever does ``work`` sooner.

    Threads wait for each other at every layer; a core that is lent to another program makes all of them wait. Each is
    measured three times in turns, and the shorter of the medians wins, all threads among equals (within 5 %).
    """
    before = torch.get_num_threads()
    best = before
    try:
        if before > 1:
            seconds: dict[int, list[float]] = {before: [], 1: []}
            for number in (before, 1) * (ROUNDS + 1):  # the first round warms up
                torch.set_num_threads(number)
                started = perf_counter()
                work()
                seconds[number].append(perf_counter() - started)
            together, alone = (sorted(seconds[number][1:])[ROUNDS // 2] for number in (before, 1))
            best = 1 if alone < 0.95 * together else before
        torch.set_num_threads(best)
        yield best
    finally:
        torch.set_num_threads(before)
