"""How an answer is judged: right, not yet answered, or wrong with a hint for the misconception behind it."""

import math
import textwrap
import traceback
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from labutils.runtime.seeds import seeded

WIDTH = 100  # JupyterLab would break a longer line in the middle of a word
Misconception = tuple[Callable[[Any], bool] | float | str, str]


def verdict(
    answer: Any,
    right: Callable[[Any], bool] | float | str,
    praise: str,
    misconceptions: Iterable[Misconception],
    otherwise: str,
) -> None:
    """Print what an answer is worth.

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
    if answer is ... or answer is None:
        print("Not answered yet: put your answer in place of the dots.")
        return
    if _matches(answer, right):
        _say(f"Right. {praise}")
        return
    hint = next((hint for pattern, hint in misconceptions if _matches(answer, pattern)), otherwise)
    _say(f"Not yet. {hint}")


def verdict_on_code(answer: Callable, trial: Callable[[Callable], str | None], praise: str) -> None:
    """Print what a function is worth that was to be written.

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
    if answer is ... or answer is None:
        print("Not answered yet: complete the function and run its cell.")
        return
    if not callable(answer):
        _say("Not yet. Give the function itself, without brackets: the check calls it.")
        return

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
        print("Not answered yet: put your lines in place of `return ...`.")
        return
    except _Stopped as stopped:
        hint = str(stopped)
    except Exception as error:  # what the function returned was of another kind than asked for
        hint = f"What the function returns cannot be used as asked: {_words(error)}"
    _say(f"Not yet. {hint}" if hint else f"Right. {praise}")


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


def _say(words: str) -> None:
    print(textwrap.fill(words, WIDTH))


def _matches(answer: Any, pattern: Callable[[Any], bool] | float | str) -> bool:
    try:
        if callable(pattern):
            return bool(pattern(answer))
        if isinstance(pattern, str):
            return str(answer).strip().lower() == pattern.lower()
        return math.isclose(float(answer), pattern, rel_tol=0.01)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError, RuntimeError):
        return False  # an answer of another kind matches nothing
