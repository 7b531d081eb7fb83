"""No measured number stands in the words of a page: it would go stale when its table is made anew, and be wrong on another machine.

Where a lesson needs a number, a code cell prints it.
"""

import re
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
PAGES = sorted(path for path in FOLDER.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)

FENCED = re.compile(r"^```.*?^```", re.M | re.S)
CODE_OR_MATH = re.compile(r"`[^`\n]+`|\$[^$\n]+\$")
NUMBER = r"\d(?:[\d.,]*\d)?"
UNIT = (
    r"(?:%|per cent\b|percent\b|(?:percentage )?points?\b|-?fold\b|times\b|[×x](?!\w)"
    r"|[kKMGT]i?B\b|(?:milli|micro)?seconds?\b|(?:ms|s|min|h)\b|minutes?\b|hours?\b"
    r"|(?:pictures|images|steps) (?:a|per) second\b)"
)
MEASURED = re.compile(rf"(?<![\w.,]){NUMBER}\s*{UNIT}")
# How many runs or seeds stand behind a table, or how many of them won: the table says so, and a new one may say otherwise.
WORD = r"(?:two|three|four|five|six|seven|eight|nine|ten|twelve|\d+)"
RUNS = re.compile(rf"\b{WORD}\s+(?:runs|trainings|seeds)\b|\b\d+\s+(?:out\s+)?of\s+(?:the\s+)?\d+\b", re.I)

# What is no measurement, and why. Each is taken out of a text before the rest is looked through.
ALLOWED = {
    "how long a page takes": r"^\*\*Time\*\*.*$",
    "what an interval is": r"95 %(?=\s+(?:interval|confidence|band))",
    "the size of a picture or filter, or a sum": rf"{NUMBER} × {NUMBER}(?: × {NUMBER})*(?! ×)",
    "the result of a sum that stands before it": rf"(?<== ){NUMBER} times",
}
SENTENCE = re.compile(r"(?<=[.!?:])\**\s+|\n\n")


def findings(text: str) -> list[str]:
    """Numbers in a Markdown text that only code may write."""
    text = CODE_OR_MATH.sub("…", FENCED.sub("…", text))
    for pattern in ALLOWED.values():
        text = re.sub(pattern, "…", text, flags=re.M)
    # A question offers numbers to choose from, and says nothing.
    said = (sentence for sentence in SENTENCE.split(text) if not sentence.endswith("?"))
    return [found.group() for one in said for rule in (MEASURED, RUNS) for found in rule.finditer(one)]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: "/".join(path.relative_to(FOLDER).parts))
def test_no_measured_number_in_prose(path):
    told = {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown" and (found := findings(cell.source)):
            told[cell.id] = found
    assert not told, f"say it in words, or let a cell print it: {told}"


@pytest.mark.parametrize(
    "text",
    [
        "**Figure.** The curve reaches 83.1 % after the first epoch.",
        "The cell takes 12 seconds.",
        "A run takes 0.3 s, and keeps\n106.2 MB.",
        "Two points of 78 to 80 % lie apart.",
        "It gains 3 points.\n\n**Time**: 5 minutes.",
        "An epoch is 77 times faster, or 77× as fast: 900 pictures a second.",
        "Here are 108 runs.",
        "Means over three\nseeds.",
        "It won in 5 of 9 cells.",
        "**Predict.** How far? It went 3 % of its length.",
    ],
)
def test_a_measured_number_is_found(text):
    assert findings(text)


@pytest.mark.parametrize(
    "text",
    [
        "**Time**: 40 minutes; the cells alone ran in 45 seconds on one CPU core.",
        "**Predict.** Will it be 70 %, 80 % or 95 %?",
        "**Predict.** At a decay of 3.5 and five steps, is it\n10 times slower, or 100 times?",
        "The band is a 95 % interval. Each filter has 3 × 3 pixels.",
        "3⁵ = 243 times slower.",
        "Call `plan(5 % 3)` for 12 epochs at 128 px, with $10 %$ and a rate of 0.001.",
        "```python\ntook = '12 seconds'\n```\n",
    ],
)
def test_settings_and_sums_may_stand(text):
    assert not findings(text)
