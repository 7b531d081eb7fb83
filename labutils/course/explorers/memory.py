"""What fills the memory of a graphics card: network, trained groups, batch, precision, checkpointing."""

import ipywidgets as widgets
import pandas as pd

from labutils.course.explorers.explorer import Explorer, shown
from labutils.course.measured_tables import measured
from labutils.course.panels import Panel, memory_panel


class TrainingMemory(Explorer):
    """What a training step holds, and the largest batch that fits into 8, 16, 24 and 80 GB.

    Parameters
    ----------
    costs : DataFrame, optional
        Tables of `memory_costs`, one below the other, with columns backbone and precision in front; default the
        measured table "memory_costs".
    """

    def __init__(self, costs: pd.DataFrame | None = None):
        costs = measured("memory_costs") if costs is None else costs
        self._costs = {
            key: table.drop(columns=["backbone", "precision"]).reset_index(drop=True)
            for key, table in costs.groupby(["backbone", "precision"], sort=False)
        }
        backbones, precisions = (list(costs[name].unique()) for name in ("backbone", "precision"))
        groups = len(self._costs[backbones[0], precisions[0]])
        super().__init__(
            backbone=("Network", widgets.Dropdown(options=backbones)),
            trained_groups=(
                "Trained groups, counted from the head",
                widgets.IntSlider(value=groups, min=1, max=groups),
            ),
            batch_size=(
                "Pictures in a batch, 224 px",
                widgets.SelectionSlider(options=[2**k for k in range(11)], value=32),
            ),
            precision=("Precision of the activations", widgets.Dropdown(options=precisions)),
            checkpointing=("Gradient checkpointing", widgets.Checkbox(indent=False)),
        )

    def panel(self) -> Panel:
        chosen = {name: control.value for name, control in self.controls.items()}
        costs = self._costs[chosen["backbone"], chosen["precision"]]
        return memory_panel(costs, chosen["trained_groups"], chosen["batch_size"], chosen["checkpointing"])

    @shown
    def _moved(self, change) -> None:
        if change["owner"] is self.controls["backbone"]:  # networks differ in their number of groups
            slider = self.controls["trained_groups"]
            groups = len(self._costs[change["new"], self.controls["precision"].value])
            slider.max, slider.value = groups, min(slider.value, groups)
        super()._moved(change)
