"""Pictures of what a network holds: the right things in the right places."""

import pandas as pd
import torch

from labutils.plots.representations import plot_by_group, plot_filters, plot_pictures


def test_pictures_stand_in_named_rows():
    grey, colour = torch.zeros(1, 4, 4, dtype=torch.uint8), torch.full((3, 8, 8), 255, dtype=torch.uint8)
    figure = plot_pictures({"first": [grey, colour], "second": [colour]}, "title")
    assert [len(ax.images) for ax in figure.axes] == [1, 1, 1, 0]
    assert [ax.get_ylabel() for ax in figure.axes] == ["first", "", "second", ""]
    assert figure.get_suptitle() == "title"


def test_filters_are_scaled_each_for_itself_and_dead_ones_stay_grey():
    weights = torch.zeros(3, 3, 2, 2)
    weights[0], weights[1], weights[2] = 1.0, -0.1, 1e-5
    image = plot_filters({"all": weights}, columns=3).axes[0].images[0].get_array()
    assert image.shape == (2, 8, 3)
    assert image[0, 0].tolist() == [1, 1, 1] and image[0, 3].tolist() == [0, 0, 0]
    assert abs(image[0, 6, 0] - 0.5) < 0.001


def test_one_line_for_each_case():
    table = pd.DataFrame({"group": ["stem", "layer1"] * 2, "case": list("aabb"), "v": [0.1, 0.2, 0.3, 0.4]})
    ax = plot_by_group(table, "v", "case", "value").axes[0]
    assert [line.get_ydata().tolist() for line in ax.lines] == [[0.1, 0.2], [0.3, 0.4]]
    assert ax.get_ylabel() == "value" and ax.get_ylim()[0] == 0
    assert "%" in plot_by_group(table, "v", "case", "value", percent=True).axes[
        0
    ].yaxis.get_major_formatter()(0.5)
