"""Files that are either whole or not there: everything the lab writes goes through here."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]


def data_folder() -> Path:
    """Folder for decoded pictures and spilled activations: ``LAB_DATA`` or the project's ``data``."""
    return Path(os.environ.get("LAB_DATA", PROJECT / "data")).expanduser()


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` and rename it onto ``path`` when the block succeeds.

    A crash, a full disk or Ctrl-C inside the block leaves an older file at ``path`` as it was. Of several processes that
    work together the main one writes; what the others make is dropped.

    Parameters
    ----------
    path : str or Path
        Where the finished file shall stand. Missing folders are made.

    Raises
    ------
    OSError
        When the file cannot be written; the message names the path and the remedy.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "numbers.txt"
    >>> with atomic_write(target) as temporary:
    ...     _ = temporary.write_text("1 2 3")
    >>> target.read_text()
    '1 2 3'
    """
    from labutils.runtime.distributed import is_main  # loads torch, which reading does not need

    path = Path(path).expanduser()
    if not is_main():
        with tempfile.TemporaryDirectory() as dropped:
            yield Path(dropped) / path.name
        return
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Same suffix, because savefig and to_csv choose the format by it; torch refuses names without any.
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}-", suffix=path.suffix or ".part", dir=path.parent
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o644)  # mkstemp makes files that only their owner can read
        temporary.replace(path)
    except OSError as error:
        message = (
            f"Could not write {path} ({error.strerror or error}). Any older file there is untouched. "
            "Free some disk space or choose a folder that you may write to, then run the same command again"
        )
        # safetensors' error on a full disk, which says so in its text, has no number.
        raise (OSError(message) if error.errno is None else OSError(error.errno, message)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_json(path: str | Path, content: Any) -> None:
    """Write ``content`` as JSON, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1))


def read_json(path: str | Path) -> Any | None:
    """Read JSON from ``path``; ``None`` when the file is missing or not whole.

    Raises OSError, with the remedy, for a file that is there and may not be read.
    """
    try:
        return json.loads(Path(path).read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: no JSON, or no text at all
        return None
    except OSError as error:
        raise OSError(
            error.errno,
            f"Could not read {path} ({error.strerror}). Move it away or make it readable, then run the same command again",
        ) from error
