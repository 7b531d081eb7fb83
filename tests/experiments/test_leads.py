"""Leads between strategies, in pairs of seeds, and the map of winners."""

import math

import pandas as pd
import pytest

from labutils.experiments.statistics import leads, strategy_map
from labutils.plots.domain_gap import plot_lead_over_distance, plot_strategy_map

NAMES = ("cheap", "dear", "from scratch")
# Seeds differ by much, strategies by little: only pairs can tell.
ACCURACY = {
    ("far", 10): ([0.50, 0.60, 0.70], [0.52, 0.63, 0.71], [0.20, 0.40, 0.30]),
    ("far", 99): ([0.80, 0.81, 0.82], [0.90, 0.92, 0.91], [0.80, 0.82, 0.84]),
    ("a near one", 10): ([0.90, 0.91, 0.92], [0.80, 0.80, 0.80], [0.10, 0.10, 0.10]),
}


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        [
            (domain, name, labels, seed, accuracy)
            for (domain, labels), rows in ACCURACY.items()
            for name, row in zip(NAMES, rows, strict=True)
            for seed, accuracy in enumerate(row)
        ],
        columns=["domain", "strategy", "labels", "seed", "test_accuracy"],
    )


def test_leads_are_paired(table):
    row = leads(table, "dear", "cheap").iloc[0]
    half = 4.302653 * 0.01 / math.sqrt(3)  # differences 0.02, 0.03, 0.01
    assert (row["domain"], row["labels"], row["seeds"]) == ("far", 10, 3)
    assert row["lead"] == pytest.approx(0.02)
    assert (row["low"], row["high"]) == pytest.approx((0.02 - half, 0.02 + half), abs=1e-6)
    assert not row["clear"]


def test_leads_against_scratch_keep_the_order_of_domains(table):
    found = leads(table, "dear")
    assert found["domain"].tolist() == ["far", "far", "a near one"]
    assert found["labels"].tolist() == [10, 99, 10]
    assert found["clear"].tolist() == [True, True, True]
    assert leads(table, "from scratch", "dear")["clear"].all(), "a clear lag is clear too"


def test_one_seed_is_never_clear(table):
    row = leads(table.query("seed == 0"), "dear").iloc[0]
    assert row["lead"] == pytest.approx(0.32) and math.isnan(row["low"]) and not row["clear"]


def test_unknown_strategy(table):
    with pytest.raises(ValueError, match="No rows of best; there are cheap, dear"):
        leads(table, "best", "cheap")


def test_map_names_winner_second_and_what_is_enough(table):
    rows = strategy_map(table)
    assert rows[["winner", "second"]].to_numpy().tolist() == [
        ["dear", "cheap"],
        ["dear", "from scratch"],
        ["cheap", "dear"],
    ]
    assert rows["clear"].tolist() == [False, True, True]
    assert rows["enough"].tolist() == ["cheap", "dear", "cheap"]
    with pytest.raises(ValueError, match="at least two"):
        strategy_map(table.query("strategy == 'dear'"))


def test_map_is_drawn_with_hatching_where_unclear(table):
    ax = plot_strategy_map(strategy_map(table), NAMES).axes[0]
    assert [bar.get_hatch() for bar in ax.patches] == ["//", None, None]
    colors = [bar.get_edgecolor() for bar in ax.patches]
    assert colors[0] == colors[1] != colors[2], "one colour for each winner"
    assert "99 labels: dear" in ax.texts[1].get_text() and "enough: dear" in ax.texts[1].get_text()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["far", "a near one"]


def test_leads_over_distance_are_drawn(table):
    rows = leads(table, "dear").assign(amount=["few", "many", "few"], distance=[2.0, 2.0, 1.0])
    ax = plot_lead_over_distance(rows, "lead").axes[0]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["few", "many"]
    assert sorted(text.get_text() for text in ax.texts) == ["a near one", "far"]
