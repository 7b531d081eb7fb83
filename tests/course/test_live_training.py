"""A training in a thread of its own: watched, stopped, replaced, failing."""

from dataclasses import replace
from threading import Event
from time import perf_counter

import pytest

from labutils.course.live_training import LiveTraining
from labutils.experiments.runs import SCRATCH, Run
from labutils.runtime.progress import Stopped, check_stop, progress_bar, stoppable
from labutils.training.settings import Settings

PATIENCE = 60  # seconds that a test waits for what takes one


@pytest.fixture
def run(tiny_backbone, tiny_domain):
    return Run(tiny_domain, tiny_backbone, SCRATCH, 30, 0, Settings(epochs=2, batch_size=8, keep_best=False))


def long(run: Run) -> Run:
    return replace(run, settings=replace(run.settings, epochs=100_000))


def started(run: Run) -> LiveTraining:
    """A training that has done its first epoch."""
    first = Event()
    live = LiveTraining(run, lambda _: first.set())
    live.start()
    assert first.wait(PATIENCE)
    return live


def test_every_epoch_and_the_end_are_reported(run):
    seen = []
    live = LiveTraining(run, lambda live: seen.append((live.state, len(live.rows))))
    live.start()
    live.join(PATIENCE)
    assert seen == [("running", 1), ("running", 2), ("finished", 2)]
    assert live.result["test_accuracy"] == run.execute()["test_accuracy"], "the same run without a thread"


def test_it_stops_within_a_second(run):
    live = started(long(run))
    asked = perf_counter()
    live.stop()
    live.join(PATIENCE)
    assert live.state == "stopped" and live.result is None
    assert perf_counter() - asked < 1


def test_starting_another_one_stops_the_first(run):
    first = started(long(run))
    second = LiveTraining(run, lambda _: None)
    second.start()
    second.join(PATIENCE)
    assert (first.state, second.state) == ("stopped", "finished")


class Held:
    """In place of a `Run`: says when it began, and ends no sooner than it may, asked to stop or not."""

    def __init__(self):
        self.began, self.may_end = Event(), Event()

    def execute(self, on_epoch):
        self.began.set()
        assert self.may_end.wait(PATIENCE)
        check_stop()


def test_another_one_begins_only_when_the_first_has_ended():
    """Both write to the same cache."""
    first, second = Held(), Held()
    lives = [LiveTraining(held, lambda _: None) for held in (first, second)]
    lives[0].start()
    assert first.began.wait(PATIENCE)
    second.may_end.set()
    lives[1].start()
    assert not second.began.wait(0.3), "the first is asked to stop, and takes its time"
    first.may_end.set()
    lives[1].join(PATIENCE)
    assert second.began.is_set() and [live.state for live in lives] == ["stopped", "finished"]


def test_an_error_is_kept_for_whoever_watches(run):
    live = LiveTraining(replace(run, labels=31), lambda _: None)
    live.start()
    live.join(PATIENCE)
    assert live.state == "failed" and "31" in str(live.error)


def test_a_loop_with_a_bar_ends_when_asked():
    stop, done = Event(), []
    with stoppable(stop), pytest.raises(Stopped):
        for i in progress_bar(range(10)):
            done.append(i)
            if i == 3:
                stop.set()
    assert done == [0, 1, 2, 3]
    assert list(progress_bar(range(3))) == [0, 1, 2], "outside the block nothing is stopped"
