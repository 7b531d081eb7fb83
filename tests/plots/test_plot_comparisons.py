"""The figures of the headless lab: all text lies inside the figure and can be read."""

import pandas as pd
import pytest

from labutils.plots.comparisons import plot_freeze_depth
from labutils.plots.domain_gap import plot_domain_gap
from labutils.plots.schedules import plot_points


@pytest.mark.parametrize("domains", [1, 2, 3])
def test_every_strategy_is_named_inside_the_figure(domains):
    rows = [
        (f"domain {i}", strategy, labels, 0.5, float("nan"), float("nan"))
        for i in range(domains)
        for strategy in (
            "feature extraction",
            "partial fine-tuning",
            "full, discriminative rates",
            "from scratch",
        )
        for labels in (50, 500)
    ]
    figure = plot_domain_gap(pd.DataFrame(rows, columns="domain strategy labels mean low high".split()))
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert len(legend.get_texts()) == 4 and box.x0 >= 0 and box.x1 <= figure.bbox.width


@pytest.mark.parametrize("means", [(1.0, 1.0), (0.6, 1.0)])
def test_no_axis_goes_beyond_a_hundred_per_cent_and_no_marker_is_cut(means):
    table = pd.DataFrame({"trained_groups": (1, 3), "mean": means, "low": float("nan"), "high": float("nan")})
    left, right = plot_freeze_depth(table, table.assign(mean=(30.0, 5.0)), "").axes
    low, high = left.get_ylim()
    assert 1 < high < 1.02 and low < min(means)
    assert right.get_ylim()[0] == 0 and right.get_ylim()[1] > 31
    (ax,) = plot_points(table, "trained_groups", "mean", "accuracy").axes
    assert 1 < ax.get_xlim()[1] < 1.02
