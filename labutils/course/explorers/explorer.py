"""What all explorers are: numbers that go to the browser once, and a choice that comes back."""

import re
from pathlib import Path

import anywidget
import pandas as pd
import traitlets

BROWSER = Path(__file__).parent / "browser"
SHARED = ("dom", "frame", "rows")  # each after those that it imports from


class Explorer(anywidget.AnyWidget):
    """Controls beside a picture, drawn and moved in the browser: nothing asks the kernel.

    Parameters
    ----------
    data : dict
        All numbers, as JSON.
    choice : dict
        Where the controls stand at first.

    Attributes
    ----------
    choice : dict
        Where they stand now; setting it moves them.
    pinned : dict or None
        A choice that is kept in view.
    """

    _css = (BROWSER / "explorer.css").read_text("utf-8")

    data = traitlets.Dict().tag(sync=True)
    choice = traitlets.Dict().tag(sync=True)
    pinned = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)

    def __init__(self, data: dict, choice: dict):
        super().__init__(data=data, choice=choice)

    def __repr__(self) -> str:
        # what stands in the page's file, where no kernel runs
        return f"{type(self).__name__} widget: run this cell to use it"


def modules(*names: str) -> str:
    """ES modules of ``browser/`` as the one that a widget may have: put one after the other, without their imports."""
    text = "\n".join((BROWSER / f"{name}.js").read_text("utf-8") for name in names)
    return re.sub(r"^import .*\n|^export (?!default)", "", text, flags=re.MULTILINE)


def records(table: pd.DataFrame) -> list[dict]:
    """Rows as JSON takes them: None where a number is missing."""
    return table.astype(object).where(table.notna(), None).to_dict("records")
