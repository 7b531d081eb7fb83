"""The README's results are those of the measured table."""

import pandas as pd

from benchmarks.summary import in_words
from labutils.course.measured_tables import measured
from labutils.runtime.files import PROJECT


def test_the_readme_holds_the_table():
    assert in_words(measured("domain_gap")) in (PROJECT / "README.md").read_text(), (
        "put there what benchmarks/summary.py prints"
    )


def test_a_winner_is_named_only_where_its_lead_is_clear():
    scores = {("near", "a"): (0.9, 0.91, 0.92), ("near", "b"): (0.5, 0.51, 0.52)}
    scores |= {("far", "a"): (0.5, 0.9, 0.7), ("far", "b"): (0.9, 0.5, 0.69)}
    table = pd.DataFrame(
        {"domain": domain, "labels": 1000, "strategy": strategy, "seed": seed, "test_accuracy": score}
        for (domain, strategy), row in scores.items()
        for seed, score in enumerate(row)
    )
    near, far = ([cell.strip() for cell in line.split("|")] for line in in_words(table).splitlines()[2:])
    assert near[1:3] == ["near", "1,000"] and near[-2] == "a" and near[3].startswith("91.0 % (")
    assert far[-2] == "none"
