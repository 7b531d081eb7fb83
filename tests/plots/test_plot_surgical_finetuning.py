"""Pictures of shifts and of what tuning each block gave."""

import pandas as pd
import torch

from labutils.plots.surgical_finetuning import plot_shifts, plot_surgery


def test_a_row_of_pictures_for_each_shift():
    pictures = torch.zeros(3, 1, 32, 32, dtype=torch.uint8)
    figure = plot_shifts({"as they were": pictures, "inverted": 255 - pictures}, ["a", "b", "c"])
    assert len(figure.axes) == 6
    assert [ax.get_title() for ax in figure.axes[:3]] == ["a", "b", "c"]
    assert figure.axes[3].get_ylabel() == "inverted"


def test_a_panel_a_shift_and_a_point_a_seed():
    rows = [
        (shift, block, seed, 0.5 + 0.1 * seed, 0.2, 0.9)
        for shift in ("inverted", "blurred")
        for block in ("first", "head")
        for seed in range(3)
    ]
    columns = ["shift", "block", "seed", "test_accuracy", "before", "unshifted"]
    figure = plot_surgery(pd.DataFrame(rows, columns=columns))
    assert [ax.get_title() for ax in figure.axes] == ["pictures inverted", "pictures blurred"]
    ax = figure.axes[0]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["first", "head"]
    assert [bar.get_height().round(3) for bar in ax.patches] == [0.6, 0.6]
    assert sorted(len(line.get_xdata()) for line in ax.lines) == [2, 2, 3, 3]
    figure.canvas.draw()
