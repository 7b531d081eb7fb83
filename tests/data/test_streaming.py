"""More pictures than memory: read from files, with the numbers of pictures in memory, and never many at a time."""

import copy
import gc
import multiprocessing
import os
import pickle
import sys
import time
import weakref

import pytest
import torch
from helpers import coloured_patterns, numbers
from PIL import Image

from labutils import Settings, Stage, build_feature_extractor, evaluate, fit, lr_finder
from labutils.analysis.errors import twins_across_splits
from labutils.data import DataError, decoding, folder, streaming
from labutils.data.streaming import ReadAhead
from labutils.experiments.surgical_finetuning import shifted
from labutils.forgetting.fisher import diagonal_fisher

LIMIT = 100_000  # bytes: 32 of the 48 pictures, the most that is run at a time on a CPU
PARTS = [torch.tensor(ids) for ids in ([3], [40, 7, 40], list(range(20)), [47, 0])] * 2


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Worker processes only where a test asks for them: starting some takes seconds."""
    monkeypatch.setattr(streaming, "decoding_workers", lambda: 0)


@pytest.fixture
def two_workers(in_this_process, monkeypatch):
    monkeypatch.setattr(streaming, "decoding_workers", lambda: 2)


@pytest.fixture
def path(tmp_path):
    """48 coloured pictures of 32 px in 3 class folders."""
    domain = coloured_patterns()
    for i, (picture, label) in enumerate(zip(domain.images, domain.labels.tolist(), strict=True)):
        file = tmp_path / "patterns" / domain.classes[label] / f"{i:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(file)
    return tmp_path / "patterns"


@pytest.fixture
def held(path):
    return folder(path, image_size=32)


@pytest.fixture
def stream(held, path, monkeypatch):
    monkeypatch.setattr(decoding, "MOST_BYTES", LIMIT)
    return folder(path, image_size=32)


def files(path) -> list:
    return sorted(path.rglob("*.png"))


# ---- it stands where the tensor stands


def test_a_folder_beyond_the_limit_is_streamed_with_the_same_splits(held, stream):
    assert "streamed" in repr(stream) and "streamed" not in repr(held)
    assert (stream.image_size, stream.channels, stream.classes) == (32, 3, held.classes)
    for name in ("labels", "train", "validation", "test"):
        assert torch.equal(getattr(stream, name), getattr(held, name))
    assert len(stream.labelled(9, seed=0).train) == 9


@pytest.mark.parametrize(
    "ids",
    [
        torch.tensor([40, 3, 3]),
        [5, -1],
        slice(2, 30, 7),
        torch.arange(48) % 5 == 0,
        17,
        torch.tensor([], dtype=torch.int64),
    ],
    ids=["tensor", "list", "slice", "mask", "number", "none"],
)
def test_pixels_are_those_in_memory(held, stream, ids):
    assert torch.equal(stream.images[ids], held.images[ids])
    assert stream.images[ids].dtype == stream.images.dtype == torch.uint8


def test_length_shape_and_numbers_out_of_range_are_those_of_a_tensor(held, stream):
    assert stream.images.shape == held.images.shape and len(stream.images) == 48
    with pytest.raises(IndexError):
        stream.images[48]


def test_the_fingerprint_belongs_to_the_files(stream, path):
    assert folder(path, image_size=32).fingerprint == stream.fingerprint
    os.utime(files(path)[0], (1, 1))
    assert folder(path, image_size=32).fingerprint != stream.fingerprint


def test_what_needs_all_pictures_at_once_is_refused_with_the_remedy(stream):
    with pytest.raises(DataError, match="48 pictures of 32 px would take .* a part of the pictures"):
        stream.images[:]
    with pytest.raises(AttributeError, match="'float' needs all pictures in memory.*images.ids.*image_size"):
        stream.images.float()
    with pytest.raises(ValueError, match="cannot be shifted.*image_size"):
        shifted(stream, "inverted")


def test_copies_and_pickles_are_small_and_leave_workers_behind(held, stream):
    stream.images._idle.append("worker processes")
    for again in (pickle.loads(pickle.dumps(stream)), copy.deepcopy(stream)):
        assert torch.equal(again.images[[4, 2]], held.images[[4, 2]]) and again.images._idle == []
    assert len(pickle.dumps(stream)) < 48 * 3 * 32 * 32 / 10


# ---- the same numbers


@pytest.fixture(
    params=[(1, {}), (1, {"cache_limit_gb": 0}), (4, {}), (4, {"accumulate": 3})],
    ids=["cached", "not cached", "all groups", "accumulated"],
)
def compared(request, tiny_backbone):
    """Train and test on a domain: history, logits and weights."""
    trained, changes = request.param
    settings = Settings(epochs=2, batch_size=8, augmentation=("flip", "crop"), **changes)

    def results(domain):
        model = build_feature_extractor(tiny_backbone, 3, dropout=0.3, seed=0)
        history = fit(model, domain, settings, [Stage(model.names[-trained:], 2, 1e-2)])
        return numbers(history), evaluate(model, domain, settings=settings).logits, model.state_dict()

    return results


def same(one, other) -> bool:
    weights = all(torch.equal(one[2][name], other[2][name]) for name in one[2])
    return one[0] == other[0] and torch.equal(one[1], other[1]) and weights


def test_training_and_evaluation_give_the_numbers_of_pictures_in_memory(compared, held, stream):
    assert same(compared(held), compared(stream))


def test_worker_processes_change_no_number(two_workers, compared, held, stream):
    assert same(compared(held), compared(stream))


def test_range_test_importance_and_twins_are_those_of_pictures_in_memory(tiny_net, held, stream):
    for look in (
        lambda domain: lr_finder(tiny_net(), domain, Settings(batch_size=8), steps=20).curve.to_dict(),
        lambda domain: {name: x.tolist() for name, x in diagonal_fisher(tiny_net(), domain).items()},
        twins_across_splits,
    ):
        assert look(stream) == look(held)


# ---- announced batches


def test_announced_batches_come_in_their_order_from_the_same_workers(two_workers, held, stream):
    first, begun = stream.images.batches(PARTS), len(multiprocessing.active_children())
    assert torch.equal(next(first), held.images[PARTS[0]])
    workers = {worker.pid for worker in multiprocessing.active_children()}
    assert len(workers) == begun + 2, "no process before the first batch is wanted"
    first.close()  # as when training diverges
    for _ in range(2):
        for ids, batch in zip(PARTS, stream.images.batches(PARTS), strict=True):
            assert torch.equal(batch, held.images[ids])
    assert {worker.pid for worker in multiprocessing.active_children()} == workers


def test_two_readers_at_a_time_do_not_disturb_each_other(two_workers, held, stream):
    list(stream.images.batches(PARTS))  # leaves workers that both could take
    pairs = zip(stream.images.batches(PARTS), stream.images.batches(PARTS[::-1]), strict=True)
    for (one, other), ids, last in zip(pairs, PARTS, PARTS[::-1], strict=True):
        assert torch.equal(one, held.images[ids]) and torch.equal(other, held.images[last])


def test_asking_for_other_pictures_than_announced_gives_those_asked_for(held, stream):
    ahead = ReadAhead(stream.images, PARTS)
    for ids in (PARTS[0], PARTS[3], PARTS[2], PARTS[1]):
        assert torch.equal(ahead[ids], held.images[ids])
    ahead.announce(PARTS)
    for ids in (*PARTS, PARTS[1]):
        assert torch.equal(ahead[ids], held.images[ids])


def test_training_announces_all_that_it_reads(compared, stream, monkeypatch):
    unannounced, plain = [], type(stream.images).__getitem__
    monkeypatch.setattr(
        type(stream.images), "__getitem__", lambda self, ids: unannounced.append(len(ids)) or plain(self, ids)
    )
    compared(stream)
    assert set(unannounced) <= {1}, "one picture, to see how large its activations are, and no more"


def test_nothing_changes_for_pictures_in_memory(held):
    def never():
        raise AssertionError("announced batches are worked out for pictures in memory")
        yield

    assert torch.equal(ReadAhead(held.images, never())[PARTS[0]], held.images[PARTS[0]])


def test_the_program_is_not_run_again_by_its_workers(two_workers, stream, tmp_path, monkeypatch):
    (tmp_path / "program.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')")
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__spec__", None)
    monkeypatch.setattr(main, "__file__", str(tmp_path / "program.py"), raising=False)
    assert len(list(stream.images.batches(PARTS))) == len(PARTS) and not (tmp_path / "mark").exists()
    assert sys.modules["__main__"] is main


def test_a_worker_process_starts_no_workers(monkeypatch):
    monkeypatch.undo()
    assert streaming.decoding_workers() >= 1
    monkeypatch.setattr(multiprocessing, "parent_process", object)
    assert streaming.decoding_workers() == 0


def test_the_ranks_of_a_machine_share_its_cores(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    for ranks, workers in ((1, 8), (2, 6), (8, 1), (16, 1)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))
        assert streaming.decoding_workers() == workers


# ---- memory


def test_few_decoded_pictures_are_held_at_a_time(compared, stream, monkeypatch):
    alive, most, decoded, read = 0, 0, 0, streaming.read_picture

    def counted(*arguments):
        nonlocal alive, most, decoded
        picture = read(*arguments)
        alive, decoded = alive + 1, decoded + 1
        most = max(most, alive)
        weakref.finalize(picture, gone)
        return picture

    def gone():
        nonlocal alive
        alive -= 1

    monkeypatch.setattr(streaming, "read_picture", counted)
    compared(stream)
    assert decoded > 48 and most <= 32


def test_workers_decode_a_few_batches_ahead_and_no_more(two_workers, stream, path):
    ids = torch.arange(48).split(4)  # 12 batches
    batches = stream.images.batches(ids)
    next(batches)
    time.sleep(0.5)  # long enough for all of them
    for file in files(path):
        Image.new("RGB", (32, 32), (1, 2, 3)).save(file)
    later = [bool((batch == torch.tensor([1, 2, 3]).view(3, 1, 1)).all()) for batch in batches]
    assert later == sorted(later) and 5 <= sum(later) < 11


def test_workers_end_with_the_pictures(two_workers, held, path, monkeypatch):
    monkeypatch.setattr(decoding, "MOST_BYTES", LIMIT)
    domain, before = folder(path, image_size=32), set(multiprocessing.active_children())
    list(domain.images.batches(PARTS))
    started = set(multiprocessing.active_children()) - before
    assert len(started) == 2
    del domain
    gc.collect()
    assert not any(worker.is_alive() for worker in started)


# ---- damage


@pytest.fixture
def damaged(stream, path) -> tuple:
    """A domain of which one picture was damaged after it was opened, and the number of that picture."""
    files(path)[7].write_bytes(files(path)[7].read_bytes()[:60])
    return stream, 7


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_file_stops_with_its_name_and_the_remedy(damaged, path, workers, monkeypatch):
    monkeypatch.setattr(streaming, "decoding_workers", lambda: workers)
    (domain, number), name = damaged, files(path)[7].relative_to(path).as_posix()
    for read in (lambda ids: domain.images[ids], lambda ids: list(domain.images.batches([ids[:1], ids]))):
        with pytest.raises(DataError, match=f"^{name} .*could not be read.*skip_unreadable=True"):
            read(torch.tensor([1, number]))
    assert len(list(domain.images.batches(PARTS[:1]))) == 1, "other pictures can be read as before"


def test_a_file_that_is_gone_is_named(stream, path):
    gone = files(path)[0]
    gone.unlink()
    with pytest.raises(DataError, match=f"{gone.name} .*No such file"):
        stream.images[0]


def test_damaged_pictures_are_left_out_on_request_and_looked_for_once(damaged, held, path, monkeypatch):
    with pytest.warns(UserWarning, match=f"1 of 48 .*{files(path)[7].name}.*left out") as caught:
        domain = folder(path, image_size=32, skip_unreadable=True)
    assert caught[0].filename == __file__
    readable = torch.arange(48) != 7
    assert torch.equal(domain.labels, held.labels[readable])
    assert torch.equal(domain.images[[6, 7]], held.images[[6, 8]])
    with monkeypatch.context() as patch, pytest.warns(UserWarning, match="left out"):
        patch.setattr(Image, "open", None)
        assert folder(path, image_size=32, skip_unreadable=True).fingerprint == domain.fingerprint
    Image.new("RGB", (32, 32)).save(files(path)[7])
    assert len(folder(path, image_size=32, skip_unreadable=True).images) == 48, "a repaired file is seen"


def test_a_lost_worker_is_an_error_that_says_what_to_do(two_workers, stream):
    before = set(multiprocessing.active_children())
    batches = stream.images.batches(torch.arange(48).split(2))
    next(batches)
    for worker in set(multiprocessing.active_children()) - before:
        worker.kill()
    with pytest.raises(RuntimeError, match="decodes pictures was lost.*smaller batches"):
        list(batches)
    assert len(list(stream.images.batches(PARTS))) == len(PARTS), "new workers are started"
