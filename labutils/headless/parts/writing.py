"""How the parts write down what they found."""

import pandas as pd

from labutils.headless.plan import Plan
from labutils.runtime.files import whole_file


def percent(mean: float, low: float = float("nan"), high: float = float("nan")) -> str:
    """An accuracy with its interval, if there is one."""
    return f"{mean:.1%}" if low != low else f"{mean:.1%} (95 % interval {low:.1%} to {high:.1%})"


def keep(plan: Plan, name: str, table: pd.DataFrame, figure) -> None:
    """Table and figure into the outputs, as ``name.csv`` and ``name.png``."""
    with whole_file(plan.outputs / f"{name}.csv") as path:
        table.to_csv(path, index=False)
    with whole_file(plan.outputs / f"{name}.png") as path:
        figure.savefig(path, dpi=150)


def markdown(means: pd.DataFrame) -> str:
    """A table of means and intervals in per cent, under headings that can be read."""
    shown = means.copy()
    for column in ("mean", "low", "high"):
        shown[column] = shown[column].map(lambda value: "–" if pd.isna(value) else f"{value:.1%}")
    names = {"mean": "test accuracy", "low": "95 % from", "high": "to", "trained_groups": "trained groups"}
    return shown.rename(columns=names).to_markdown(index=False, disable_numparse=True)
