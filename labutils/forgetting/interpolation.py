"""Between the old weights and the new: the straight line, and how the tasks fare along it."""

from collections.abc import Mapping, Sequence

import pandas as pd
from torch import nn

from labutils.analysis.agreement_with_original import between
from labutils.data import Domain
from labutils.networks.groups import LayerGroups
from labutils.training.evaluation import evaluate
from labutils.training.settings import Settings

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def weight_path(
    before: LayerGroups,
    after: LayerGroups,
    questions: Mapping[str, tuple[nn.Module, Domain]],
    shares: Sequence[float] = SHARES,
    split: str = "validation",
    settings: Settings = Settings(),
) -> pd.DataFrame:
    """Accuracy on each task for networks on the straight line between two.

    Needs no training: it is done after fine-tuning, and the share is chosen on validation pictures.

    Parameters
    ----------
    before, after : LayerGroups
        The network before and after the new task. Neither is changed.
    questions : mapping of str to (Module, Domain)
        Name of each task to its head and its pictures.
    shares : sequence of float
        0 stands for the weights before, 1 for those after.

    Returns
    -------
    DataFrame
        A row for each share and task: share, task, accuracy.

    Notes
    -----
    Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (WiSE-FT), section 3.
    """
    rows = []
    for share in shares:
        model = between(before, after, share)
        for task, (head, domain) in questions.items():
            model.head = head
            accuracy = evaluate(model, domain, split, settings).accuracy
            rows.append({"share": share, "task": task, "accuracy": accuracy})
    return pd.DataFrame(rows)
