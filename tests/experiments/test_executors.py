"""Runs on executors that are not the lab's own: threads, and a Dask cluster of separate processes."""

import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cluster_runs import MarkedRun, marks

from labutils import run_all
from labutils.experiments import executors


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes of one thread each, each watched by a nanny that starts it anew."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as started:
        yield started.scheduler_address


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "marks").mkdir()
    return tmp_path / "marks"


def in_this_process(runs, tmp_path) -> list[dict]:
    (elsewhere := tmp_path / "alone").mkdir()
    return run_all([MarkedRun(run.seed, elsewhere) for run in runs], workers=1)


def test_threads_of_one_process_do_not_disturb_each_other(folder, tmp_path):
    runs = [MarkedRun(seed, folder) for seed in range(4)]
    with ThreadPoolExecutor(4) as threads:
        assert run_all(runs, workers=threads) == in_this_process(runs, tmp_path)
        threads.submit(int).result()  # still open: it belongs to whoever made it


@pytest.mark.slow
def test_a_cluster_gives_the_numbers_of_one_process_and_kept_results_are_not_done_again(
    cluster, folder, tmp_path
):
    runs = [MarkedRun(seed, folder) for seed in range(6)]
    results = run_all(runs, tmp_path / "store", cluster)
    assert results == in_this_process(runs, tmp_path)
    processes = {process for _, process in marks(folder, "begun")}
    assert len(processes) == 2 and os.getpid() not in processes, "both workers took part"
    assert run_all([*runs, MarkedRun(6, folder)], tmp_path / "store", cluster)[:6] == results
    assert [seed for seed, _ in marks(folder, "ended")] == list(range(7)), "each once"


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_loses_nothing_and_nothing_is_done_twice(cluster, folder, tmp_path):
    # The one that waits is sent to a worker last, so that this worker holds results when it dies.
    runs = [MarkedRun(seed, folder, waits=seed == 5) for seed in range(6)]
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(run_all, runs, tmp_path / "store", cluster)
        until = time.monotonic() + 60
        while len(list((tmp_path / "store").glob("*.json"))) < 5 or len(marks(folder, "begun")) < 6:
            assert time.monotonic() < until and not answer.done(), "five runs end, the sixth waits"
            time.sleep(0.05)
        time.sleep(0.5)  # the scheduler has heard that the results were taken
        victim = dict(marks(folder, "begun"))[5]
        assert victim in [process for seed, process in marks(folder, "ended")], "it holds results"
        os.kill(victim, signal.SIGKILL)
        results = answer.result(timeout=60)
    begun = [seed for seed, _ in marks(folder, "begun")]
    assert begun == [0, 1, 2, 3, 4, 5, 5], "only the run that was lost is begun again"
    assert [seed for seed, _ in marks(folder, "ended")] == [0, 1, 2, 3, 4, 5]
    assert results == in_this_process(runs, tmp_path)


@pytest.mark.slow
def test_a_run_that_fails_on_the_cluster_is_reported_here_and_the_rest_is_taken_back(
    cluster, folder, tmp_path
):
    runs = [MarkedRun(seed, folder, fails=seed == 0) for seed in range(40)]
    with pytest.raises(ValueError, match="this run cannot be done"):
        run_all(runs, tmp_path / "store", cluster)
    time.sleep(1)
    assert len(marks(folder, "begun")) < 40
    kept = [file.stem for file in (tmp_path / "store").glob("*.json")]
    assert "run0" not in kept


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nothing://127.0.0.1:9"])
def test_a_cluster_that_does_not_answer_is_one_clear_line(folder, monkeypatch, address):
    pytest.importorskip("distributed")
    monkeypatch.setattr(executors, "ANSWER", 0.5)
    with pytest.raises(ConnectionError, match=f"{address}.*dask scheduler"):
        run_all([MarkedRun(0, folder)], workers=address)
    assert not marks(folder, "begun")


def test_without_dask_the_remedy_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RuntimeError, match="pip install distributed"):
        run_all([MarkedRun(0, folder)], workers="tcp://127.0.0.1:9")
