"""Pictures of pictures before and after a shift, and of what tuning each block gave."""

import pandas as pd
import torch
from matplotlib.figure import Figure

from labutils.plots.style import MARKERS, PALETTE, accuracy_axis, new_figure, new_grid


def plot_shifts(rows: dict[str, torch.Tensor], titles: list[str]) -> Figure:
    """The same grey pictures, a row for each shift.

    Parameters
    ----------
    rows : dict of str to Tensor of uint8, shape (N, 1, S, S)
        What the row is called, and its pictures.
    titles : list of str
        One for each column.
    """
    figure, axes = new_grid(len(rows), len(titles), width=1.6 * len(titles) + 1, height=1.6 * len(rows) + 0.5)
    for line, (name, pictures) in zip(axes, rows.items(), strict=True):
        for ax, picture in zip(line, pictures, strict=True):
            ax.imshow(picture[0].numpy(), cmap="gray", vmin=0, vmax=255)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        line[0].set_ylabel(name)
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title)
    return figure


def plot_surgery(table: pd.DataFrame, title: str = "") -> Figure:
    """Test accuracy after tuning each block, a panel a shift; lines mark the network before and without a shift.

    Parameters
    ----------
    table : DataFrame
        A row for each shift, block and seed, such as `at_best_rate` gives: shift, block, seed, test_accuracy,
        before, unshifted.
    """
    shifts, blocks = list(table["shift"].unique()), list(table["block"].unique())
    figure, axes = new_figure(len(shifts), 4.6 * len(shifts) + 1.4, 4.6, sharey=True)
    for ax, shift in zip(axes, shifts, strict=True):
        panel = table[table["shift"] == shift]
        for number, name in enumerate(blocks):
            values = panel.loc[panel["block"] == name, "test_accuracy"]
            color = PALETTE[number]
            ax.bar(number, values.mean(), color=color, alpha=0.45, width=0.7)
            ax.plot(
                [number] * len(values),
                values,
                MARKERS[number],
                color=color,
                markersize=7,
                markeredgecolor="0.2",
            )
        ax.axhline(panel["unshifted"].mean(), color="0.2", linestyle="--", label="source network, no shift")
        ax.axhline(
            panel["before"].mean(), color="0.2", linestyle=":", label="source network, shifted, not tuned"
        )
        ax.set_xticks(range(len(blocks)), blocks)
        ax.set(
            xlabel="block that was tuned", title=f"pictures {shift}" if len(shifts) > 1 else "", ylim=(0, 1)
        )
        ax.grid(False, axis="x")
    accuracy_axis(axes[0])
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(title)
    return figure
