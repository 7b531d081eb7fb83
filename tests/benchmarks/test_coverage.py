"""The README says of the networks what the table of coverage says."""

import pandas as pd

from benchmarks.coverage import in_words
from benchmarks.provenance import RESULTS
from labutils.runtime.files import PROJECT


def test_the_readme_holds_the_table():
    assert in_words(pd.read_csv(RESULTS / "coverage.csv")) in (PROJECT / "README.md").read_text(), (
        "put there what benchmarks.coverage.in_words makes"
    )


def test_what_holds_of_a_library_is_counted():
    rows = [
        {
            "network": "torchvision/a",
            "cut": True,
            "bit_equal": True,
            "frozen_stays": True,
            "trained_moves": True,
        },
        {"network": "timm/b", "cut": True, "bit_equal": True, "frozen_stays": True, "trained_moves": False},
        {"network": "timm/c", "cut": False},
        {"network": "timm/d"},  # ran out of time
    ]
    text = in_words(pd.DataFrame(rows).assign(cached_equal=True, onnx_equal=None))
    cells = [[cell.strip() for cell in line.split("|")[2:4]] for line in text.splitlines()[2:7]]
    assert cells == [["1", "3"], ["1", "1"], ["1", "0"], ["1", "3"], ["0", "0"]]
    assert "Not cut, with the reason as an error: `timm/c`.\n" in text and text.endswith("machine: `timm/d`.")
