"""How an answer is judged: right, not yet answered, or wrong with a hint for the misconception behind it."""

import math
import textwrap
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

from labutils.runtime.seeds import seeded

WIDTH = 100  # JupyterLab would break a longer line in the middle of a word
Misconception = tuple[Callable[[Any], bool] | float | str, str]


@dataclass(frozen=True)
class Verdict:
    """What an answer is worth: ``right`` is None where there is no answer yet; ``text`` is the praise or the hint."""

    right: bool | None
    text: str

    def __str__(self) -> str:
        opening = {None: "Not answered yet: ", True: "Right. ", False: "Not yet. "}[self.right]
        return textwrap.fill(opening + self.text, WIDTH)


_recorders: list[list[Verdict]] = []


@contextmanager
def recorded() -> Iterator[list[Verdict]]:
    """Inside the block verdicts are collected in the list that is given, instead of printed."""
    _recorders.append([])
    try:
        yield _recorders[-1]
    finally:
        _recorders.pop()


def verdict(
    answer: Any,
    right: Callable[[Any], bool] | float | str,
    praise: str,
    misconceptions: Iterable[Misconception],
    otherwise: str,
) -> None:
    """Print what an answer is worth, or hand it to the block of `recorded` around the call.

    Parameters
    ----------
    answer : object
        ``...`` stands for "not answered yet".
    right : value or callable answer -> bool
        A number is met within one part in a hundred.
    praise : str
        Printed after "Right."; says why it is right.
    misconceptions : pairs of (value or callable, hint)
        The first that matches a wrong answer gives the hint.
    otherwise : str
        The hint for all other wrong answers.
    """
    _say(_judged(answer, right, praise, misconceptions, otherwise))


def verdict_on_fault(answer: Any, fault: Callable[[Any], str | None], praise: str) -> None:
    """Print what an answer is worth that can be wrong in several ways, or hand it to the block of `recorded` around the call.

    Parameters
    ----------
    answer : object
        ``...`` stands for "not answered yet".
    fault : callable
        Gives the hint for what is wrong with the answer, or None when all is right.
    praise : str
        Printed after "Right."; says why it is right.
    """
    hint = None if answer is ... or answer is None else fault(answer)
    _say(_judged(answer, lambda _: hint is None, praise, (), hint or ""))


def _judged(
    answer: Any,
    right: Callable[[Any], bool] | float | str,
    praise: str,
    misconceptions: Iterable[Misconception],
    otherwise: str,
) -> Verdict:
    if answer is ... or answer is None:
        return Verdict(None, "put your answer in place of the dots.")
    if _matches(answer, right):
        return Verdict(True, praise)
    hint = next((hint for pattern, hint in misconceptions if _matches(answer, pattern)), otherwise)
    return Verdict(False, hint)


def verdict_on_code(answer: Callable, trial: Callable[[Callable], str | None], praise: str) -> None:
    """Print what a function is worth that was to be written, or hand it to the block of `recorded` around the call.

    Parameters
    ----------
    answer : callable
        Returns ``...`` where nothing was written yet.
    trial : callable
        Calls the function on small cases, with torch's random numbers from a fixed seed. Returns the hint for the
        misconception that shows, or None when all is right.
    praise : str
        Printed after "Right."; says why it is right.
    """
    _say(_judged_code(answer, trial, praise))


def _judged_code(answer: Callable, trial: Callable[[Callable], str | None], praise: str) -> Verdict:
    if answer is ... or answer is None:
        return Verdict(None, "complete the function and run its cell.")
    if not callable(answer):
        return Verdict(False, "Give the function itself, without brackets: the check calls it.")

    @wraps(answer)
    def watched(*args, **kwargs):
        try:
            result = answer(*args, **kwargs)
        except Exception as error:
            raise _Stopped(_where(error, answer)) from error
        if result is ...:
            raise _Blank
        return result

    try:
        with seeded(0):
            hint = trial(watched)
    except _Blank:
        return Verdict(None, "put your lines in place of `return ...`.")
    except _Stopped as stopped:
        hint = str(stopped)
    except Exception as error:  # what the function returned was of another kind than asked for
        hint = f"What the function returns cannot be used as asked: {_words(error)}"
    return Verdict(False, hint) if hint else Verdict(True, praise)


class _Blank(Exception):
    """The function is still as the page has it."""


class _Stopped(Exception):
    """The function itself raised an error."""


def _where(error: Exception, function: Callable) -> str:
    """The error in words, with the line of the function, counted from its ``def``, in which it came up."""
    code = getattr(function, "__code__", None)
    numbers = [
        line - code.co_firstlineno + 1
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code is code
    ]
    place = f" in its line {numbers[-1]}" if numbers else ""
    return f"The function stops{place} with {_words(error)}"


def _words(error: Exception) -> str:
    first_line = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first_line[:200]}"


def _say(given: Verdict) -> None:
    if _recorders:
        _recorders[-1].append(given)
    else:
        print(given)


def _matches(answer: Any, pattern: Callable[[Any], bool] | float | str) -> bool:
    try:
        if callable(pattern):
            return bool(pattern(answer))
        if isinstance(pattern, str):
            return str(answer).strip().lower() == pattern.lower()
        return math.isclose(float(answer), pattern, rel_tol=0.01)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError, RuntimeError):
        return False  # an answer of another kind matches nothing
