"""One program on several processes, as ``torchrun`` starts them: shares, sums over all, and output from one of them.

Every process (rank) runs the same program. `fit` shares each batch, so that N ranks do what one process would do
with the same settings; `run_all` shares whole runs. Without ``torchrun`` all of this does nothing.
"""

import hashlib
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from datetime import timedelta
from functools import cache
from threading import Event, Thread
from time import sleep
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

GO_ON = "Whatever was written is whole: start the same command again, and it goes on from the last checkpoint"
ANSWER = timedelta(minutes=10)  # for a step of training; who is silent for longer is lost
GRACE = 5  # seconds for a clean end
RUNS = timedelta(days=30)  # a rank that is done with its runs waits for those of the others

_alone: ContextVar[bool] = ContextVar("alone", default=False)


class RankLost(RuntimeError):
    """Another process of this program has ended, or does not answer."""


@contextmanager
def process_group() -> Iterator[None]:
    """Let the processes that ``torchrun`` started work together inside the block; alone, do nothing.

    Each process takes the GPU of its number on its machine, where there are GPUs. What is printed by others than
    the first is dropped; errors are not. When a process ends early, `torchrun` ends the others, and each says so.

    Examples
    --------
    >>> with process_group():  # one process here
    ...     print(rank(), world_size())
    0 1
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group(timeout=ANSWER)
    with _ending_on_request():
        if is_main():
            yield
        else:
            os.environ["LAB_PROGRESS"] = "off"
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
                yield
    dist.destroy_process_group()  # not after an error: it would wait for a rank that is gone


@contextmanager
def _ending_on_request() -> Iterator[None]:
    """Inside the block SIGTERM ends this process with a message, even while it waits for a rank that is gone."""

    def end(*_) -> None:
        said.wait(1)
        sys.exit(128 + signal.SIGTERM)

    def watch() -> None:
        while (received := reader.recv(1)) and received[0] != signal.SIGTERM:
            pass
        if received:
            print(
                f"Rank {number} is ended: another rank was lost, or the job stopped. {GO_ON}", file=sys.stderr
            )
            said.set()
            sleep(GRACE)
            os._exit(128 + signal.SIGTERM)

    # Python's handlers run between two lines of Python, and a process that waits in C comes to none: hence the thread.
    number, said, (reader, writer) = rank(), Event(), socket.socketpair()
    writer.setblocking(False)
    handler, descriptor = signal.signal(signal.SIGTERM, end), signal.set_wakeup_fd(writer.fileno())
    Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor)
        signal.signal(signal.SIGTERM, handler)
        writer.close()  # which ends the thread


@contextmanager
def alone() -> Iterator[None]:
    """Inside the block this process works for itself, as if it were the only one."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def world_size() -> int:
    """How many processes work together.

    Raises
    ------
    RuntimeError
        When ``torchrun`` started several that do not: each would train the whole and write the same files.
    """
    if _alone.get():
        return 1
    if dist.is_available() and dist.is_initialized():
        return dist.get_world_size()
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise RuntimeError(
            "torchrun started several processes that know nothing of each other: "
            "put the work into `with labutils.runtime.distributed.process_group():`"
        )
    return 1


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def is_main() -> bool:
    """Whether this process is the one that prints and writes files."""
    return rank() == 0


def share(items: Sequence | torch.Tensor):
    """The items that fall to this rank: every N-th."""
    return items[rank() :: world_size()]


@contextmanager
def _all_answer() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # the way in which gloo and NCCL report a lost peer or a timeout
        raise RankLost(f"Rank {rank()} lost the others: one has ended or does not answer. {GO_ON}") from error


def add_gradients(parameters: Sequence[nn.Parameter], *numbers) -> Sequence[torch.Tensor]:
    """Sum the gradients over all ranks, in place, and with them some numbers, which are returned.

    A rank without a gradient, whose share of the batch was empty, adds nothing.
    """
    if world_size() == 1:
        return numbers
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    # One message. DistributedDataParallel would send while it still computes, but wants one forward of one module
    # a step, a new wrapper a stage, and no rank without pictures; benchmarks/scaling.py compares the two.
    grads = [parameter.grad for parameter in parameters]
    extra = torch.stack([torch.as_tensor(number, device=grads[0].device).float() for number in numbers])
    flat = torch.cat([*(grad.flatten() for grad in grads), extra])
    with _all_answer():
        dist.all_reduce(flat)
    *sums, extra = flat.split([*(grad.numel() for grad in grads), len(numbers)])
    for grad, summed in zip(grads, sums, strict=True):
        grad.copy_(summed.view(grad.shape))
    return extra.unbind()


def gather_rows(rows: torch.Tensor, count: int) -> torch.Tensor:
    """All ``count`` rows on every rank, in order, from the `share` of each."""
    if world_size() == 1:
        return rows
    whole = rows.new_zeros((count, *rows.shape[1:]))
    whole[rank() :: world_size()] = rows
    with _all_answer():
        dist.all_reduce(whole)
    return whole


def start_alike(module: nn.Module) -> None:
    """Give every rank the weights and buffers of the main one."""
    if world_size() == 1:
        return
    for tensor in module.state_dict().values():
        sent = tensor.contiguous()
        with _all_answer():
            dist.broadcast(sent, 0)
        tensor.copy_(sent)


def from_main(value: Any) -> Any:
    """What the main rank holds, on every rank: decisions that all must take alike."""
    if world_size() == 1:
        return value
    box = [value]
    with _all_answer():
        dist.broadcast_object_list(box, 0)
    return box[0]


def from_all(value: Any) -> list:
    """What each rank holds, on every rank; waits as long as the slowest needs."""
    if world_size() == 1:
        return [value]
    box = [None] * world_size()
    with _all_answer():
        dist.all_gather_object(box, value, _patient())
    return box


@cache
def _patient() -> dist.ProcessGroup:
    return dist.new_group(timeout=RUNS, backend="gloo")


def require_same(values: dict[str, Any]) -> None:
    """Raise ValueError, on every rank, with the names of entries that are not the same on all of them."""
    if world_size() == 1:
        return
    digests = {name: hashlib.sha256(repr(value).encode()).hexdigest() for name, value in values.items()}
    everyone = from_all(digests)
    other = [name for name in values if len({each[name] for each in everyone}) > 1]
    if other:
        raise ValueError(
            f"The processes of this run differ in {', '.join(other)}: all need the same program, "
            "the same pictures, and a checkpoint on a disk that all can read"
        )
