"""The README's results are those of the measured table."""

import pandas as pd

from benchmarks.summary import in_words
from labutils.course.measured_tables import measured
from labutils.experiments.runs import FEATURES, FULL, SCRATCH
from labutils.runtime.files import PROJECT


def test_the_readme_holds_the_table():
    assert in_words(measured("domain_gap")) in (PROJECT / "README.md").read_text(), (
        "put there what benchmarks/summary.py prints"
    )


def test_a_winner_is_named_only_where_its_lead_is_clear():
    scores = {
        ("near", FEATURES): (0.9, 0.91, 0.92),
        ("near", SCRATCH): (0.5, 0.51, 0.52),
        ("near", FULL): (0.6, 0.6, 0.6),
    }
    scores |= {
        ("far", FEATURES): (0.5, 0.9, 0.7),
        ("far", SCRATCH): (0.9, 0.5, 0.69),
        ("far", FULL): (0.3, 0.3, 0.3),
    }
    table = pd.DataFrame(
        {"domain": domain, "labels": 1000, "strategy": strategy.name, "seed": seed, "test_accuracy": score}
        for (domain, strategy), row in scores.items()
        for seed, score in enumerate(row)
    ).assign(least_movement=0.0004)
    text = in_words(table)
    near, far = ([cell.strip() for cell in line.split("|")] for line in text.splitlines()[2:4])
    assert near[1:3] == ["near", "1,000"] and near[-2] == FEATURES.name and near[3].startswith("91.0 % (")
    assert far[-2] == "none"
    assert "in 1 of 2 rows; not clearly so on far with 1,000 labels" in text
    assert (
        f"near with 1,000 labels: {FEATURES.name}, 31.0 points ahead" in text
        and "near 0.04 %, far 0.04 %" in text
    )
