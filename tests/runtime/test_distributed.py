"""Two processes that `torchrun` started train as one: same result, one of them writes, one lost ends the run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import ranks
import torch

from labutils.runtime.distributed import share, world_size

TESTS = Path(__file__).resolve().parents[1]
PAIR = [0, 1]


def torchrun(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"LAB_DEVICE": "cpu", "OMP_NUM_THREADS": "1", "LAB_PROGRESS": "on"}
    environment["PYTHONPATH"] = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, timeout=240, env=environment
    )


def written(folder: Path) -> list[dict]:
    return [json.loads((folder / f"rank{number}.json").read_text()) for number in PAIR]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def launched(folder) -> subprocess.CompletedProcess:
    done = torchrun(TESTS / "ranks.py", "all", folder)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def pair(folder, launched) -> list[dict]:
    return written(folder)


@pytest.fixture(scope="module")
def single(tmp_path_factory) -> dict:
    """The same in this process alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ranks.BACKBONES, "tiny", ranks.TINY)
        return ranks.scenarios(tmp_path_factory.mktemp("single"))


def close(one, other, tolerance: float) -> bool:
    """Whether two nested results are equal but for rounding."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[k], other[k], tolerance) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(close(a, b, tolerance) for a, b in zip(one, other, strict=True))
    if isinstance(one, float):
        return one == pytest.approx(other, abs=tolerance, rel=tolerance, nan_ok=True)
    return one == other


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["staged", "head drawn elsewhere", "pulled"])
def test_ranks_hold_identical_weights_after_every_epoch_of_every_stage(pair, scenario):
    one, other = (found[scenario] for found in pair)
    assert len(one["after each epoch"]) == ranks.EPOCHS == len(set(one["after each epoch"]))
    assert one["after each epoch"] == other["after each epoch"]
    assert one["weights"] == other["weights"] and one["test"] == other["test"]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["staged", "pulled"])
@pytest.mark.parametrize("what", ["history", "weights", "test"])
def test_two_ranks_end_as_one_process_with_the_whole_batch(pair, single, scenario, what):
    assert close(pair[0][scenario][what], single[scenario][what], 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["everything trained", "range test"])
def test_full_training_and_range_test_give_the_losses_of_one_process(pair, single, what):
    assert pair[0][what] == pair[1][what]
    assert close(pair[0][what], single[what], 1e-3)


@pytest.mark.slow
def test_the_cache_is_shared_out(pair, single):
    held = [found["staged"]["cached bytes"] for found in pair]
    assert sum(held) == single["staged"]["cached bytes"]
    assert max(held) < 0.6 * sum(held)


def without_seconds(results: list[dict]) -> list[dict]:
    histories = [[{**row, "seconds": 0} for row in result["history"]] for result in results]
    return [{**r, "history": h, "seconds": 0} for r, h in zip(results, histories, strict=True)]


@pytest.mark.slow
def test_runs_are_shared_and_every_rank_has_all_results(pair, single, folder):
    assert pair[0]["runs"] == pair[1]["runs"], "in the seconds too: each was done once"
    assert close(*(without_seconds(found["runs"]) for found in (pair[0], single)), 1e-6)
    assert len(list((folder / "runs").iterdir())) == len(single["runs"])


@pytest.mark.slow
def test_only_the_first_rank_prints(launched):
    assert launched.stdout.count("said by one") == 1


@pytest.mark.slow
def test_batch_statistics_and_differing_programs_are_reported(pair):
    for found in pair:
        assert "from scratch" in found["from scratch"] and "differ in settings" in found["differing"]


@pytest.mark.slow
def test_a_killed_rank_ends_the_run_with_a_message_and_resuming_goes_on(tmp_path, single):
    killed = torchrun(TESTS / "ranks.py", "killed", tmp_path)
    assert killed.returncode != 0 and not (tmp_path / "rank0.json").exists()
    assert "start the same command again" in killed.stderr and "rank" in killed.stderr.lower()
    assert [file.name for file in tmp_path.iterdir()] == ["run.pt"], "no half-written file, one checkpoint"
    stored = torch.load(tmp_path / "run.pt", weights_only=True)["progress"]["rows"]
    assert len(stored) in (2, 3)
    resumed = torchrun(TESTS / "ranks.py", "resumed", tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    one, other = written(tmp_path)
    assert len(one["after each epoch"]) == ranks.EPOCHS - len(stored), "the first epochs were not done again"
    assert one["weights"] == other["weights"]
    assert close(one["history"], single["staged"]["history"], 1e-4)


def test_processes_that_know_nothing_of_each_other_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match="process_group"):
        world_size()


def test_one_process_has_everything():
    assert world_size() == 1 and share([1, 2, 3]) == [1, 2, 3]
