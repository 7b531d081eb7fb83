"""Which pictures were classified wrongly, how sure the network was of it, and which stand in two splits at once."""

from collections import defaultdict

import pandas as pd
import torch

from labutils.data import Domain
from labutils.data.duplicates import digest
from labutils.training.evaluation import Evaluation


def most_wrong(seen: Evaluation, ids: torch.Tensor) -> pd.DataFrame:
    """The wrong predictions, the surest first.

    Parameters
    ----------
    seen : Evaluation
    ids : Tensor of int64, shape (N,)
        Sample ids of the evaluated split, such as ``domain.test``.

    Returns
    -------
    DataFrame
        A row a mistake: id, label, predicted (numbers of outputs), sure (its probability), right (that of the
        label), both 0 to 1.

    Raises
    ------
    ValueError
        Ids of another split: as many are needed as predictions.
    """
    if len(ids) != len(seen.labels):
        raise ValueError(
            f"{len(seen.labels)} predictions but {len(ids)} ids: give the ids of the split that was evaluated"
        )
    probabilities = seen.logits.double().softmax(1)
    sure, predicted = probabilities.max(1)
    right = probabilities.gather(1, seen.targets[:, None]).squeeze(1)
    columns = {"id": ids, "label": seen.targets, "predicted": predicted, "sure": sure, "right": right}
    table = pd.DataFrame({name: column.numpy() for name, column in columns.items()})
    wrong = table[table["label"] != table["predicted"]]
    return wrong.sort_values("right", kind="stable").reset_index(drop=True)


def twins_across_splits(domain: Domain) -> list[tuple[int, ...]]:
    """Sample ids of pictures that are equal to the last pixel and do not stand in the same split.

    Such a picture of the test is one that the network has seen, or that a choice was made on.

    Returns
    -------
    list of tuple of int
        One tuple for each such picture. Empty is good; copies that were scaled or saved anew are not found.
    """
    places = defaultdict(list)
    for split in (domain.train, domain.validation, domain.test):
        same = defaultdict(list)
        for number in split.tolist():
            same[digest(domain.images[number])].append(number)
        for pixels, numbers in same.items():
            places[pixels].append(numbers)
    return [tuple(sum(groups, [])) for groups in places.values() if len(groups) > 1]
