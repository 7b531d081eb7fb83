"""A training run in a thread of its own, to be watched and stopped while the notebook stays usable."""

from collections.abc import Callable
from threading import Event, Lock, Thread

from labutils.experiments.runs import Run
from labutils.runtime.progress import Stopped, stoppable

_one_at_a_time = Lock()
_current: "LiveTraining | None" = None


class LiveTraining:
    """One `Run` that reports every epoch; starting another one stops it, for two would halve each other's speed.

    Parameters
    ----------
    run : Run
    changed : callable LiveTraining -> None
        Called from the run's thread after every epoch and at its end.

    Attributes
    ----------
    rows : list of dict
        The epochs so far, as in `fit`.
    state : {"ready", "running", "finished", "stopped", "failed"}
    result : dict or None
        What `Run.execute` returned.
    error : Exception or None
        Why it failed.
    """

    def __init__(self, run: Run, changed: Callable[["LiveTraining"], None]):
        self.run, self._changed = run, changed
        self.rows, self.state, self.result, self.error = [], "ready", None, None
        self._stop, self._before = Event(), None
        self._thread = Thread(target=self._work, daemon=True)

    def start(self) -> None:
        global _current
        with _one_at_a_time:
            if _current is not None:
                _current.stop()
            self._before, _current = _current, self
        self.state = "running"
        self._thread.start()

    def stop(self) -> None:
        """Ask the run to end: it does so at its next batch. May be called at any time and more than once."""
        self._stop.set()

    def join(self, seconds: float | None = None) -> None:
        """Wait for the end of the run."""
        self._thread.join(seconds)

    def _work(self) -> None:
        if self._before is not None:
            self._before.join()  # both would write to the same cache
            self._before = None
        try:
            with stoppable(self._stop):
                self.result = self.run.execute(self._note)
            self.state = "finished"
        except Stopped:
            self.state = "stopped"
        except Exception as error:  # shown by whoever watches
            self.state, self.error = "failed", error
        self._changed(self)

    def _note(self, row: dict, *network) -> None:  # which a `Run` hands over, too
        self.rows.append(row)
        self._changed(self)
