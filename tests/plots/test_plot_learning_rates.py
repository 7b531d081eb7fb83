"""Pictures about rates show what the table says."""

import numpy as np
import pandas as pd
import pytest

from labutils.plots import learning_rates, range_test

GROUPS = ("stem", "layer1", "head")


def lines(ax) -> dict[str, list[float]]:
    return {line.get_label(): list(line.get_ydata()) for line in ax.get_lines() if line.get_label()[0] != "_"}


def test_group_rates_one_line_a_plan():
    rates = pd.DataFrame(
        [
            {"plan": plan, "group": group, "learning_rate": base / 10**k}
            for plan, base in (("slow", 1e-3), ("fast", 1e-1))
            for k, group in enumerate(GROUPS)
        ]
    )
    ax = learning_rates.plot_group_rates(rates).axes[0]
    assert lines(ax) == {"slow": [1e-3, 1e-4, 1e-5], "fast": [0.1, 0.01, 0.001]}
    assert ax.get_yscale() == "log"


def test_movement_leaves_out_what_did_not_move():
    moved = pd.DataFrame({"plan": "decay 3", "group": GROUPS, "movement": [0.0, 1e-9, 2.0]})
    ax = learning_rates.plot_movement(moved, "title").axes[0]
    assert np.isnan(lines(ax)["decay 3"][0]) and lines(ax)["decay 3"][1:] == [1e-9, 2.0]
    assert ax.get_ylim()[0] < 1e-9


def test_seeds_are_dots_and_the_mean_a_bar():
    table = pd.DataFrame(
        {
            "decay": [3.0, 3.0, 1.0, 1.0],
            "seed": [0, 1, 0, 1],
            "test_accuracy": [0.8, 0.9, 0.5, 0.7],
            "loss": [1.0, 2.0, 3.0, 4.0],
        }
    )
    figure = learning_rates.plot_seeds(
        table, "decay", {"test_accuracy": "accuracy", "loss": "loss"}, "decay", level=(0.69, "guessing")
    )
    left, right = figure.axes
    assert [list(dots.get_offsets()[:, 1]) for dots in left.collections] == [[0.8, 0.9], [0.5, 0.7]]
    assert [line.get_ydata()[0] for line in left.get_lines()] == pytest.approx([0.85, 0.6, 0.69])
    assert len(right.get_lines()) == 2, "the level belongs to accuracies"
    assert [tick.get_text() for tick in left.get_xticklabels()] == ["3", "1"]


def test_surface_names_every_cell():
    surface = pd.DataFrame(
        {
            "trained_groups": [2, 2, 9, 9],
            "lr_decay": [1.0, 3.0, 1.0, 3.0],
            "mean": [0.5, 0.6, 0.7, 0.8],
            "worst": [0.4, 0.5, 0.6, 0.7],
        }
    )
    figure = learning_rates.plot_surface(surface, {"mean": "Mean", "worst": "Worst seed"}, "title")
    for ax, expected in zip(
        figure.axes, (["50.0", "60.0", "70.0", "80.0"], ["40.0", "50.0", "60.0", "70.0"]), strict=False
    ):
        assert [text.get_text() for text in ax.texts] == expected
    assert figure.axes[0].images[0].get_clim() == figure.axes[1].images[0].get_clim() == (0.4, 0.8)


def test_smoothing_marks_the_lowest_point_of_each_line():
    curve = pd.DataFrame({"rate": [1e-3, 1e-2, 1e-1, 1.0], "loss": [2.0, 1.0, 3.0, np.nan]})
    ax = range_test.plot_smoothing(curve, {"late": [2.0, 1.5, 1.2, np.nan]}, "title").axes[0]
    mark = next(line for line in ax.get_lines() if len(line.get_xdata()) == 1)
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (0.1, 1.2)
