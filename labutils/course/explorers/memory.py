"""What fills the memory of a graphics card: network, trained groups, batch, precision, checkpointing."""

import pandas as pd

from labutils.course.explorers.explorer import SHARED, Explorer, modules, records
from labutils.course.measured_tables import measured

CARDS = (8, 16, 24, 80)  # GB of 1e9 bytes


class TrainingMemory(Explorer):
    """What a training step holds, and the largest batch that fits into 8, 16, 24 and 80 GB.

    The sums are those of `training_memory` and `largest_batch`, done in the browser.

    Parameters
    ----------
    costs : DataFrame, optional
        Tables of `memory_costs`, one below the other, with columns backbone and precision in front; default the
        measured table "memory_costs". All networks have the same groups.
    """

    _esm = modules(*SHARED, "training_memory")

    def __init__(self, costs: pd.DataFrame | None = None):
        costs = measured("memory_costs") if costs is None else costs
        tables: dict[str, dict[str, list]] = {}
        for (backbone, precision), table in costs.groupby(["backbone", "precision"], sort=False):
            tables.setdefault(backbone, {})[precision] = records(
                table.drop(columns=["backbone", "precision"])
            )
        groups = [{"name": name} for name in costs["group"].unique()]
        choice = {
            "backbone": costs["backbone"].iloc[0],
            "precision": costs["precision"].iloc[0],
            "trained_groups": len(groups),
            "batch_size": 32,
            "checkpointing": False,
        }
        super().__init__({"costs": tables, "cards": list(CARDS), "groups": groups}, choice)
