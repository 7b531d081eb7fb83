"""Plots draw what they are given, in every shape that it can come in."""

import pandas as pd
import torch

from labutils.analysis.calibration import reliability
from labutils.experiments.learning_curve import fit_power_law
from labutils.plots.diagnostics import (
    plot_confusion,
    plot_maps,
    plot_mistakes,
    plot_power_law,
    plot_reliability,
)


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_confusion_shows_shares_of_rows_and_counts():
    figure = plot_confusion([[3, 1], [0, 0]], ("cat", "dog"))
    assert texts(figure.axes[0]) == ["75%\n3", "25%\n1", "0%\n0", "0%\n0"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["cat", "dog"]


def test_mistakes_of_any_number(tiny_domain):
    rows = [{"id": i, "label": 0, "predicted": 1, "sure": 0.9, "right": 0.1} for i in range(7)]
    columns = ["id", "label", "predicted", "sure", "right"]
    for count in (0, 1, 7):
        mistakes = pd.DataFrame(rows[:count], columns=columns)
        figure = plot_mistakes(tiny_domain.images, mistakes, tiny_domain.classes)
        assert sum(bool(ax.images) for ax in figure.axes) == count
    assert figure.axes[0].get_title() == "label: horizontal\nvertical, 90% sure"


def test_maps_of_nothing_stay_dark(tiny_domain):
    maps = torch.stack([torch.zeros(32, 32), torch.rand(32, 32)])
    figure = plot_maps(tiny_domain.images[:2], maps, ("one", "two"))
    below = [ax.images[1].get_array() for ax in figure.axes if len(ax.images) == 2]
    assert [float(field.max()) for field in below] == [0, 1]


def test_reliability_shows_every_bin():
    logits, labels = torch.randn(50, 3), torch.randint(3, (50,))
    table = reliability(logits, labels)
    figure = plot_reliability({"before": table, "after": table})
    left, right = figure.axes
    assert texts(left) == texts(right) == [str(count) for count in table["pictures"]]


def test_power_law_with_and_without_unseen_runs():
    runs = pd.DataFrame({"labels": [50, 100, 200, 400], "seed": 0, "test_accuracy": [0.7, 0.75, 0.79, 0.82]})
    law = fit_power_law(runs, draws=20)
    for fitted in ((50, 100, 200), (50, 100, 200, 400)):
        figure = plot_power_law(runs, law.error([50, 100, 400]), fitted, needed=0.15)
        labels = figure.axes[0].get_legend_handles_labels()[1]
        assert ("runs that it had not seen" in labels) == (len(fitted) == 3)
