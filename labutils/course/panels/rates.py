"""Learning rates of the groups, and where the choice lies among the accuracies measured beforehand."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from labutils.course.panels.panel import (
    DOTS,
    FROZEN,
    LIVE,
    TRAINED,
    Panel,
    check_range,
    draw_curve,
    groups_text,
    live_text,
    pixels_of,
    titled,
)
from labutils.experiments.runs import FULL

SIZE, HEAT_MAP = (
    (9.2, 4.0),
    (0.40, 0.21, 0.24, 0.66),
)  # inches; left, bottom, width, height in parts of the figure


def rate_panel(
    rates: pd.DataFrame,
    surface: pd.DataFrame,
    trained_groups: int,
    decay: float,
    live: Sequence[dict] = (),
    points: Sequence[tuple[int, float, float]] = (),
) -> Panel:
    """The learning rate of every group, and where the choice lies on the accuracy measured beforehand.

    Parameters
    ----------
    rates : DataFrame
        From `labutils.training.optimizers.rate_table`: a row a parameter group, shallow to deep.
    surface : DataFrame
        trained_groups, lr_decay, mean of the test accuracy (0 to 1), on a full grid; all at the base rate of `FULL`.
    trained_groups : int
    decay : float
        From 1 to the largest of the surface.
    live, points :
        As in `freeze_depth_panel`; a point is (trained groups, decay, test accuracy).

    Raises
    ------
    ValueError
        ``trained_groups`` out of range.
    """
    by_group = rates.drop_duplicates("group")
    names = list(by_group["group"])
    check_range(trained_groups, len(names))
    figure = Figure(figsize=SIZE, dpi=DOTS)
    left, middle, right = (
        figure.add_axes(place) for place in ((0.08, 0.21, 0.23, 0.66), HEAT_MAP, (0.76, 0.21, 0.22, 0.66))
    )
    colors = [FROZEN] * (len(names) - trained_groups) + [TRAINED] * trained_groups
    # Bars over the exponent: a logarithmic axis of matplotlib makes ninety ticks and takes as long as all the rest.
    exponents = np.log10(by_group["learning rate"].to_numpy())
    lowest = np.floor(exponents.min()) - 0.5
    left.barh(range(len(names)), exponents - lowest, left=lowest, color=colors, edgecolor="0.3")
    left.set(xlabel="learning rate η (log scale)", xlim=(lowest, -0.9), ylim=(len(names) - 0.4, -0.6))
    titled(left, "Rate of each group")
    ticks = range(int(lowest) // 2 * 2, 0, 2)
    left.set_xticks([tick for tick in ticks if tick > lowest])
    left.xaxis.set_major_formatter(lambda exponent, _: f"1e{exponent:.0f}")
    left.set_yticks(range(len(names)), names)
    for place in range(len(names) - trained_groups):
        left.text(lowest, place, " frozen", va="center", fontsize=8)

    grid = surface.pivot(index="trained_groups", columns="lr_decay", values="mean")
    figure.figimage(
        _heat_map(tuple(grid.index), tuple(grid.columns), tuple(grid.to_numpy().ravel())), zorder=-1
    )
    middle.patch.set_alpha(0)
    middle.set(xlim=(-0.5, grid.shape[1] - 0.5), ylim=(-0.5, grid.shape[0] - 0.5))
    middle.set_axis_off()

    def place(groups: int, decay: float) -> tuple[float, float]:
        column = np.interp(np.log(decay), np.log(grid.columns.to_numpy(float)), np.arange(grid.shape[1]))
        return float(column), float(np.interp(groups, grid.index, np.arange(grid.shape[0])))

    middle.plot(
        *place(trained_groups, decay), "o", markersize=17, fillstyle="none", markeredgewidth=3, color=TRAINED
    )
    for groups, of, value in points:
        middle.plot(*place(groups, of), "*", markersize=14, color=LIVE, markeredgecolor="white")
        column, line = place(groups, of)
        middle.annotate(
            f"{100 * value:.0f}",
            (column, line),
            color=LIVE,
            textcoords="offset points",
            xytext=(-16 if column > 1 else 16, -16 if line > 1 else 16),  # towards the middle: not cut off
            ha="center",
            va="center",
            weight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    draw_curve(right, live)

    head, stem = by_group["learning rate"].iloc[-1], by_group["learning rate"].iloc[-trained_groups]
    nearest = surface.loc[
        (
            (surface["lr_decay"] - decay).abs() + 100 * (surface["trained_groups"] - trained_groups).abs()
        ).idxmin()
    ]
    sentence = (
        f"The head learns at {head:.2g}; {names[-trained_groups]}, the first trained group, at {stem:.2g}: {head / stem:,.0f} times slower. "
        f"Measured beforehand, at base rate {FULL.base_lr:g}, for {groups_text(int(nearest['trained_groups']))} and decay {nearest['lr_decay']:g}: {nearest['mean']:.1%}. {live_text(live, points)}"
    )
    decays = rates["weight decay"] > 0
    tensors = [
        rates[part].groupby("group", sort=False)["tensors"].sum().reindex(names, fill_value=0)
        for part in (decays, ~decays)
    ]
    table = pd.DataFrame(
        {
            "group": names,
            "learning rate": [f"{rate:.2e}" for rate in by_group["learning rate"]],
            f"tensors with weight decay {rates['weight decay'].max():g}": tensors[0].to_numpy(),
            "norms and biases, without": tensors[1].to_numpy(),
        }
    )
    return Panel(figure, table, sentence)


@lru_cache(maxsize=4)
def _heat_map(groups: tuple[int, ...], decays: tuple[float, ...], accuracy: tuple[float, ...]) -> np.ndarray:
    """The surface with its numbers as pixels of the whole figure: drawn once, for its many texts take longest of all."""
    figure = Figure(figsize=SIZE, dpi=DOTS)
    ax, values = figure.add_axes(HEAT_MAP), np.reshape(accuracy, (len(groups), len(decays)))
    ax.imshow(values, cmap="viridis", aspect="auto", origin="lower")
    titled(ax, "Measured test accuracy, %")
    ax.set(xlabel="decay", ylabel="trained groups")
    ax.set_xticks(range(len(decays)), [f"{value:g}" for value in decays], fontsize=8)
    ax.set_yticks(range(len(groups)), groups)
    dark = values.min() + 0.6 * np.ptp(values)
    for (line, column), value in np.ndenumerate(values):
        color = "white" if value < dark else "black"
        ax.text(column, line, f"{100 * value:.0f}", ha="center", va="center", fontsize=8, color=color)
    return pixels_of(figure)
