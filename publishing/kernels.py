"""How pages are run when they are checked or stored: without progress bars and without waiting threads."""

import os


def quiet() -> None:
    """Let the kernels that this process starts run so."""
    # Whether a bar appears depends on how slow the machine is.
    os.environ["LAB_PROGRESS"] = "off"
    # Two threads that wait for each other on a busy machine took 154 s for a page that one thread does in 19.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
