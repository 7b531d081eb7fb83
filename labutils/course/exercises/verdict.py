"""How an answer is judged: right, not yet answered, or wrong with a hint for the misconception behind it."""

import math
import textwrap
from collections.abc import Callable, Iterable
from typing import Any

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
        print(textwrap.fill(f"Right. {praise}", WIDTH))
        return
    hint = next((hint for pattern, hint in misconceptions if _matches(answer, pattern)), otherwise)
    print(textwrap.fill(f"Not yet. {hint}", WIDTH))


def _matches(answer: Any, pattern: Callable[[Any], bool] | float | str) -> bool:
    try:
        if callable(pattern):
            return bool(pattern(answer))
        if isinstance(pattern, str):
            return str(answer).strip().lower() == pattern.lower()
        return math.isclose(float(answer), pattern, rel_tol=0.01)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError, RuntimeError):
        return False  # an answer of another kind matches nothing
