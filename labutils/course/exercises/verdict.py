"""How an answer is judged: right, not yet answered, or wrong with a hint for the misconception behind it."""

import math
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

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
    given = _judged(answer, right, praise, misconceptions, otherwise)
    if _recorders:
        _recorders[-1].append(given)
    else:
        print(given)


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


def _matches(answer: Any, pattern: Callable[[Any], bool] | float | str) -> bool:
    try:
        if callable(pattern):
            return bool(pattern(answer))
        if isinstance(pattern, str):
            return str(answer).strip().lower() == pattern.lower()
        return math.isclose(float(answer), pattern, rel_tol=0.01)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError, RuntimeError):
        return False  # an answer of another kind matches nothing
