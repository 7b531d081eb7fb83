"""What runs inside the kernel of a handed-in page: checks that the page cannot reach, and no network.

Against mistakes and simple tricks, not against malice: a kernel may do what its user may do.
"""

import importlib.util
import ipaddress
import socket
from types import ModuleType
from typing import Any

from labutils.course.exercises.verdict import recorded

_checks: ModuleType | None = None


class NoNetworkError(OSError):
    """A page asked for another machine."""


def begin(module: str) -> None:
    """Shut the network, and read the checks of ``module`` anew, before any cell of the page runs.

    The module is a copy of the one that pages import: what a page changes in that does not change the copy.
    """
    global _checks
    stay_offline()
    spec = importlib.util.find_spec(f"labutils.course.exercises.{module}")
    _checks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(_checks)


def judge(check: str, *arguments: Any, **options: Any) -> tuple[bool | None, str]:
    """Ask a check. Returns whether the answer is right, None for none, and the praise or the hint."""
    with recorded() as verdicts:
        getattr(_checks, check)(*arguments, **options)
    if len(verdicts) != 1:
        raise RuntimeError(f"{check} gave {len(verdicts)} verdicts")
    return verdicts[0].right, verdicts[0].text


def stay_offline() -> None:
    """Let Python's sockets of this process reach this machine only."""
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_look_up(host, *arguments, **options):
        _only_this_machine(host)
        return look_up(host, *arguments, **options)

    def guarded(method):
        def reach(self, address):
            if self.family in (socket.AF_INET, socket.AF_INET6):
                _only_this_machine(address[0])
            return method(self, address)

        return reach

    socket.getaddrinfo = guarded_look_up
    socket.socket.connect, socket.socket.connect_ex = guarded(connect), guarded(connect_ex)


def _only_this_machine(host: str | bytes | None) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    try:
        near = ipaddress.ip_address(name).is_loopback
    except ValueError:
        near = name in (None, "", "localhost", socket.gethostname())
    if not near:
        raise NoNetworkError(f"there is no network while exercises are checked, and {name} was asked for")
