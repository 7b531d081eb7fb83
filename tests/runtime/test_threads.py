"""The number of threads is the one with which the work was done sooner, and is as before afterwards."""

from itertools import cycle

import pytest
import torch

from labutils.runtime import threads
from labutils.runtime.threads import fastest_thread_count


@pytest.fixture
def two():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("together", "alone", "expected"), [(20.0, 1.0, 1), (1.0, 1.6, 2), (1.0, 1.0, 2)])
def test_the_quicker_is_taken_and_given_back(two, monkeypatch, together, alone, expected):
    clock = [0.0]
    monkeypatch.setattr(threads, "perf_counter", lambda: clock[0])

    def work():
        clock[0] += together if torch.get_num_threads() == 2 else alone

    with fastest_thread_count(work) as number:
        assert number == torch.get_num_threads() == expected
    assert torch.get_num_threads() == 2


def test_one_slow_moment_decides_nothing(two, monkeypatch):
    clock, slow = [0.0], cycle((50, 1, 1, 1, 9, 1, 1, 1))
    monkeypatch.setattr(threads, "perf_counter", lambda: clock[0])

    def work():
        clock[0] += next(slow) * (1 if torch.get_num_threads() == 2 else 1.5)

    with fastest_thread_count(work) as number:
        assert number == 2


def test_they_are_given_back_after_an_error_too(two):
    with pytest.raises(RuntimeError), fastest_thread_count(lambda: None):
        raise RuntimeError
    assert torch.get_num_threads() == 2


def test_one_thread_is_not_measured(monkeypatch):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with fastest_thread_count(lambda: pytest.fail("measured")) as number:
        assert number == 1
    torch.set_num_threads(before)
