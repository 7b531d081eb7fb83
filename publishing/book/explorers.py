"""Explorers in the book: all but their trainings runs in the reader's browser, so no kernel is missed."""

import json
import re
from pathlib import Path

import anywidget

from labutils.course import explorers

HOST = (Path(__file__).parent / "static" / "explorer_host.js").read_text("utf-8")
PLACEHOLDER = re.compile(r"^(\w+) widget: run this cell to use it$")


def live(output: dict) -> dict:
    """The output of a cell; an explorer that waits for a kernel becomes one that needs none."""
    words = "".join(output.get("data", {}).get("text/plain", ""))
    found = PLACEHOLDER.match(words)
    kind = found and getattr(explorers, found[1], None)
    return (
        {"output_type": "display_data", "metadata": {}, "data": {"text/html": html(kind())}}
        if kind
        else output
    )


def html(widget: explorers.explorer.Explorer) -> str:
    """Part of a page that draws the widget: its style, its numbers, and its module with a stand-in for the kernel."""
    own = set(widget.trait_names(sync=True)) - set(anywidget.AnyWidget.class_trait_names())
    values = json.dumps({name: getattr(widget, name) for name in own}).replace("</", "<\\/")
    return (
        f'<style>{widget._css}</style><div class="explorer-in-book"></div>'
        f'<script type="module">{HOST}\n{widget._esm}\nrender(host({values}));</script>'
    )
