"""A kernel for one handed-in page, with a deadline."""

import ast
import os
import queue
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from jupyter_client import BlockingKernelClient, KernelManager

from labutils.runtime.files import PROJECT
from labutils.runtime.progress import check_stop

NOWHERE = "http://no-network.invalid:9"  # the proxy of programs that a page starts
START = 180  # seconds that a kernel may take to come up and to import the lab, on a busy machine
POLL = 0.5  # seconds between two looks at whether the kernel lives


class KernelDied(Exception):
    """The process has ended by itself: a crash, too little memory, or `exit`."""


class CellError(Exception):
    """A cell or an expression raised; the message holds the kind and the words of the exception."""


class Kernel:
    """Runs code in a process of its own, until a deadline."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient):
        self.manager, self.client = manager, client
        self.give(START)

    def give(self, seconds: float) -> None:
        """Move the deadline: so much time from now on."""
        self.deadline = monotonic() + seconds

    def run(self, code: str, expression: str = "None") -> object:
        """Run a cell, then give the value of an expression that has a literal for its repr.

        Raises
        ------
        CellError, KernelDied
        TimeoutError
            When the deadline is over.
        """
        # What the cell displays goes nowhere: nobody listens, so a cell that prints for ever fills no memory.
        asked = self.client.execute(code, user_expressions={"value": expression}, allow_stdin=False)
        reply = self._reply(asked)
        value = reply.get("user_expressions", {}).get("value", {}) if reply["status"] == "ok" else reply
        if value.get("status") != "ok":
            raise CellError(f"{value.get('ename', 'aborted')}: {value.get('evalue', '')}")
        return ast.literal_eval(value["data"]["text/plain"])

    def _reply(self, asked: str) -> dict:
        while True:
            check_stop()
            if (left := self.deadline - monotonic()) <= 0:
                raise TimeoutError
            try:
                message = self.client.get_shell_msg(timeout=min(POLL, left))
            except queue.Empty:
                if not self.manager.is_alive():
                    raise KernelDied from None
                continue
            if message["parent_header"].get("msg_id") == asked:
                return message["content"]


@contextmanager
def started_kernel() -> Iterator[Kernel]:
    """A fresh kernel in an empty folder, with this lab, without a network; afterwards it is gone with all it started."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        manager = KernelManager(kernel_name="python3")
        silence = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        manager.start_kernel(cwd=folder, env=_environment(folder), **silence)
        client = manager.client()
        client.start_channels(iopub=False, stdin=False, hb=False, control=False)
        try:
            yield Kernel(manager, client)
        finally:
            client.stop_channels()
            if hasattr(signal, "SIGKILL"):
                manager.signal_kernel(signal.SIGKILL)  # goes to the processes that the kernel started, too
            manager.shutdown_kernel(now=True)
            manager.cleanup_resources()


def _environment(folder: str) -> dict[str, str]:
    proxies = {
        name: NOWHERE for each in ("http_proxy", "https_proxy", "all_proxy") for name in (each, each.upper())
    }
    path = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    kept = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    return (
        kept
        | proxies
        | {
            "PYTHONPATH": path,  # this lab, whatever lies beside the page
            "IPYTHONDIR": folder,
            "LAB_PROGRESS": "off",
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
        }
    )
