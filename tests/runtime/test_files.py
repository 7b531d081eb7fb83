"""Files are whole or not there, and an older file outlives every failure."""

import errno
import os
from pathlib import Path

import pytest
import torch

from labutils.runtime.files import PROJECT, atomic_write, data_folder, read_json, write_json


def test_a_new_file_is_whole_and_readable_by_others(tmp_path):
    target = tmp_path / "new" / "folder" / "table.csv"
    with atomic_write(target) as temporary:
        assert temporary.suffix == ".csv" and temporary.parent == target.parent
        temporary.write_text("a,b")
        assert not target.exists(), "nothing to see before it is whole"
    assert target.read_text() == "a,b"
    assert target.stat().st_mode & 0o777 == 0o644
    assert os.listdir(target.parent) == ["table.csv"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("bad"), RuntimeError("bad")], ids=repr)
def test_whatever_happens_inside_the_older_file_stays(tmp_path, error):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(type(error)), atomic_write(target) as temporary:
        temporary.write_text("ha")
        raise error
    assert target.read_text() == "old" and os.listdir(tmp_path) == ["table.csv"]


def test_a_full_disk_while_writing_leaves_the_older_file_and_names_the_remedy(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(
        OSError, match="Could not write .*table.csv.*No space left.*Free some disk space"
    ) as caught:
        with atomic_write(target) as temporary:
            temporary.write_text("ha")
            raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.errno == errno.ENOSPC
    assert target.read_text() == "old" and os.listdir(tmp_path) == ["table.csv"]


def test_a_full_disk_while_renaming(tmp_path, monkeypatch):
    def full(self, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    write_json(tmp_path / "a.json", [1])
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="Any older file there is untouched"):
        write_json(tmp_path / "a.json", [2])
    assert read_json(tmp_path / "a.json") == [1] and os.listdir(tmp_path) == ["a.json"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="file.*choose a folder that you may write to"):
        write_json(tmp_path / "file" / "a.json", 1)


def test_json_goes_there_and_back(tmp_path):
    content = {"b": [1, 2.5, None], "a": {"ü": "grüße"}}
    write_json(tmp_path / "a.json", content)
    assert read_json(tmp_path / "a.json") == content


def test_what_is_missing_or_half_there_reads_as_nothing(tmp_path):
    assert read_json(tmp_path / "none.json") is None
    with pytest.raises(OSError, match="Could not read .*make it readable, then run the same command again"):
        read_json(tmp_path)
    (tmp_path / "half.json").write_text('{"a": [1, 2')
    assert read_json(tmp_path / "half.json") is None
    assert read_json(tmp_path / "half.json" / "below.json") is None
    (tmp_path / "empty.json").touch()
    assert read_json(tmp_path / "empty.json") is None


def test_bytes_that_are_no_text_read_as_nothing(tmp_path):
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00garbage")
    assert read_json(tmp_path / "bytes.json") is None


def test_the_data_folder_is_where_the_variable_says(monkeypatch):
    monkeypatch.setenv("LAB_DATA", "/somewhere/else")
    assert data_folder() == Path("/somewhere/else")
    monkeypatch.delenv("LAB_DATA")
    assert data_folder() == PROJECT / "data"


def test_a_checkpoint_may_have_a_name_without_an_ending(tmp_path):

    with atomic_write(tmp_path / "run") as temporary:
        torch.save({"a": 1}, temporary)
    assert torch.load(tmp_path / "run") == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
