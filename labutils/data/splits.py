"""Dividing samples: into training, validation and test, and into fewer labelled ones."""

from collections.abc import Mapping, Sequence

import numpy
import torch
from torch import Tensor

from labutils.runtime.seeds import checked_seed


class DataError(ValueError):
    """The pictures or labels cannot be used as they are; the message says what to do about it."""


def split(
    labels: Tensor,
    seed: int,
    validation: float = 0.15,
    test: float = 0.25,
    strata: Tensor | None = None,
    classes: Sequence[str] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Divide samples at random into training, validation and test, class by class.

    Every class appears in all three parts, in each with its share rounded to the nearest whole picture (but
    at least one). This is stricter than ``sklearn.model_selection.train_test_split(stratify=...)``, which
    may leave a small class without a single test picture.

    Parameters
    ----------
    labels : Tensor of int64, shape (N,)
        Class of each sample.
    seed : int
        The same seed gives the same division.
    validation, test : float, default=0.15 and 0.25
        Shares of the whole; training gets the rest.
    strata : Tensor of int64, shape (N,), optional
        A second property, such as the kind of cell, whose proportions are kept within each class.
    classes : sequence of str, optional
        Class names for error messages.

    Returns
    -------
    train, validation, test : Tensor of int64
        Sorted sample ids: disjoint, together all of ``range(N)``.

    Raises
    ------
    DataError
        When the shares leave nothing for training, or a class has too few pictures to be in all three parts.

    Examples
    --------
    >>> [len(part) for part in split(torch.tensor([0] * 20 + [1] * 40), seed=0)]
    [36, 9, 15]
    """
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise DataError(
            f"validation={validation} and test={test} must be above 0 and below 1 together: "
            "each is a share of the whole, and training gets the rest"
        )
    order = _permutation(len(labels), seed)
    parts: tuple[list[Tensor], ...] = ([], [], [])
    for label in labels.unique().tolist():
        ids = order[labels[order] == label]
        if strata is not None:
            ids = ids[strata[ids].argsort(stable=True)]
        count = len(ids)
        for_test, for_validation = max(1, round(test * count)), max(1, round(validation * count))
        if for_test + for_validation >= count:
            name = repr(classes[label]) if classes else label
            raise DataError(
                f"Class {name} has {count} picture{'s' * (count != 1)}, too few to give at least one each to "
                f"training, validation ({validation:.0%}) and test ({test:.0%}): add pictures or leave the "
                "class out"
            )
        in_test = _evenly(count, for_test)
        in_validation = _evenly(count - for_test, for_validation)
        parts[2].append(ids[in_test])
        parts[1].append(ids[~in_test][in_validation])
        parts[0].append(ids[~in_test][~in_validation])
    train, held_out, tested = (torch.cat(part).sort().values for part in parts)
    return train, held_out, tested


def check_splits(
    name: str, splits: Mapping[str, Tensor], count: int, may_be_empty: Sequence[str] = ()
) -> None:
    """Raise DataError unless each split holds sample ids below ``count``, and none of them stands twice."""
    for split_name, ids in splits.items():
        if ids.dtype != torch.int64 or ids.ndim != 1 or not (len(ids) or split_name in may_be_empty):
            raise DataError(
                f"{name}: {split_name} must be a non-empty one-dimensional int64 tensor of sample "
                f"ids, not {ids.dtype} of shape {tuple(ids.shape)}"
            )
        outside = ids[(ids < 0) | (ids >= count)]
        if len(outside):
            raise DataError(
                f"{name}: {split_name} names sample {int(outside[0])}, but ids go from 0 to {count - 1}"
            )
    ids, times = torch.cat(tuple(splits.values())).unique(return_counts=True)
    if (times > 1).any():
        raise DataError(
            f"{name}: sample {int(ids[times > 1][0])} appears more than once in the splits: "
            "train, validation and test must be disjoint, or the test would measure memory"
        )


def choose(ids: Tensor, labels: Tensor, n: int, seed: int) -> Tensor:
    """Pick ``n`` of ``ids`` at random, keeping the class proportions and at least one of each class.

    Parameters
    ----------
    ids : Tensor of int64
        Sample ids to choose from.
    labels : Tensor of int64, shape (N,)
        Class of every sample, chosen from or not.
    n : int
        From the number of classes among ``ids`` to ``len(ids)``; the caller checks it.
    seed : int
        With the same seed a smaller choice is part of every larger one.

    Returns
    -------
    Tensor of int64, shape (n,)
        Sorted sample ids.

    Examples
    --------
    >>> labels = torch.tensor([0] * 20 + [1] * 40)
    >>> labels[choose(torch.arange(60), labels, n=6, seed=0)].tolist()
    [0, 0, 1, 1, 1, 1]
    """
    order = ids[_permutation(len(ids), seed)]
    label = labels[order]
    # The k-th of a class with c pictures stands at (k + ½)/c on one scale from 0 to 1 for all classes, so
    # cutting the scale anywhere keeps the proportions. The first of each class comes before everything.
    place = torch.empty(len(order), dtype=torch.float64)
    for one in label.unique():
        members = (label == one).nonzero().squeeze(1)
        place[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
        place[members[0]] = 0
    return order[place.argsort(stable=True)[:n]].sort().values


def divide_groups(labels: Tensor, groups: Tensor, shares: Sequence[float], seed: int) -> Tensor:
    """Divide samples into parts so that no group is torn apart, each class as nearly by the shares as groups allow.

    The largest groups go first, each to the part that lacks most of what it holds: the greedy rule of scikit-learn's
    ``StratifiedGroupKFold``, for parts of unequal size. A class of as many groups as parts is in all of them, the first
    part before the others.

    Parameters
    ----------
    labels, groups : Tensor of int64, shape (N,)
        Class of each sample, and the number of what it belongs to.
    shares : sequence of float
        Of the whole, one a part.
    seed : int
        The same seed gives the same division.

    Returns
    -------
    Tensor of int64, shape (N,)
        Number of each sample's part.

    Examples
    --------
    >>> divide_groups(torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([0, 0, 1, 2, 2, 3]), (0.7, 0.3), seed=0).tolist()
    [0, 0, 1, 0, 0, 1]
    """
    _, groups = groups.unique(return_inverse=True)
    held = torch.zeros(int(groups.max()) + 1, int(labels.max()) + 1, dtype=torch.float64)
    held.index_put_((groups, labels), torch.ones(len(labels), dtype=torch.float64), accumulate=True)
    held = held[:, held.sum(0) > 0]
    held /= held.sum(0)  # of each class the share that a group holds
    order = _permutation(len(held), seed)
    order = order[held[order].max(1).values.argsort(descending=True, stable=True)]
    share = numpy.array(shares)[:, None]
    lacks, chosen, rows = (
        numpy.ones((len(share), held.shape[1])),
        torch.empty(len(held), dtype=torch.int64),
        held.numpy(),
    )
    # Largest share first among equals, so that a class of few groups is trained on and then tested.
    preference = 1e-9 * share[:, 0]
    for group in order.tolist():
        part = int((lacks @ rows[group] + preference * rows[group].sum()).argmax())
        lacks[part] -= rows[group] / share[part]
        chosen[group] = part
    return chosen[groups]


def _permutation(count: int, seed: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(checked_seed(seed)))


def _evenly(count: int, chosen: int) -> Tensor:
    """Mark ``chosen`` of ``count`` places, spread evenly, so that sorted strata keep their proportions."""
    return torch.arange(count) * chosen % count < chosen
