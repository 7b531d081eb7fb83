"""How alike the features of two networks are: linear centred kernel alignment (CKA)."""

import pandas as pd
import torch
from torch import Tensor

from labutils.analysis.features import group_features
from labutils.networks.groups import LayerGroups


def linear_cka(one: Tensor, other: Tensor) -> float:
    """Linear centred kernel alignment: how alike two sets of features of the same pictures are, 0 to 1.

    1 means equal up to a rotation, a scale and a shift; which channel holds what does not matter. It needs clearly more
    pictures than channels to be near 0 for unrelated features, so compare it with a value for a random network.

    Parameters
    ----------
    one, other : Tensor, shapes (N, C) and (N, D)
        Row i of both belongs to picture i.

    Raises
    ------
    ValueError
        Different numbers of pictures, or features that are the same for all pictures.

    Notes
    -----
    Kornblith et al. 2019, "Similarity of neural network representations revisited", section 3.

    Examples
    --------
    >>> features = torch.tensor([[0.0, 1.0], [2.0, 0.0], [1.0, 5.0]])
    >>> round(linear_cka(features, 10 * features.flip(1) - 3), 6)
    1.0
    """
    if one.ndim != 2 or other.ndim != 2 or len(one) != len(other):
        raise ValueError(
            f"Two tables with a row for each picture are needed, not {tuple(one.shape)} and {tuple(other.shape)}"
        )
    one, other = (table.double() - table.double().mean(0) for table in (one, other))
    sizes = [torch.linalg.matrix_norm(table.T @ table) for table in (one, other)]
    if min(sizes) == 0:
        raise ValueError("These features are the same for every picture: there is nothing to compare")
    return float(torch.linalg.matrix_norm(one.T @ other) ** 2 / (sizes[0] * sizes[1]))


def compare_groups(model: LayerGroups, other: LayerGroups, images: Tensor) -> pd.DataFrame:
    """`linear_cka` between two networks, group by group: columns group and cka."""
    pairs = [group_features(each, images) for each in (model, other)]
    cka = [linear_cka(pairs[0][name], pairs[1][name]) for name in pairs[0]]
    return pd.DataFrame({"group": list(pairs[0]), "cka": cka})
