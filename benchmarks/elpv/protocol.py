"""The protocol of Deitsch et al. 2019 (arXiv:1807.02894) as far as it is known: labels, weights, splits, measures."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
from sklearn.model_selection import train_test_split

from labutils.data.solar import read_rows

TEST, VALIDATION = 0.25, 0.2  # of all cells; of those that are left for training
KINDS = ("mono", "poly")


@dataclass(frozen=True, eq=False)
class Cells:
    """What is known of each cell besides its picture, in the order of the package's ``labels.csv``.

    Attributes
    ----------
    names : array of str, shape (N,)
        File names of the pictures.
    probabilities : array of float, shape (N,)
        Probability of a defect according to the expert: 0, 1/3, 2/3 or 1.
    kinds : array of str, shape (N,)
        "mono" or "poly": crystalline structure of the module.
    """

    names: np.ndarray
    probabilities: np.ndarray
    kinds: np.ndarray

    @cached_property
    def labels(self) -> np.ndarray:
        """1 (defective) for every cell that the expert was not sure to be functional, otherwise 0."""
        return (self.probabilities > 0).astype(np.int64)

    @cached_property
    def weights(self) -> np.ndarray:
        """How much each cell counts: 1 where the expert was sure, 1/3 and 2/3 where not (table 2 of the paper)."""
        return np.where(self.probabilities > 0, self.probabilities, 1.0)

    @cached_property
    def strata(self) -> np.ndarray:
        """Kind and probability together: each of the eight keeps its share in every part."""
        return np.char.add(self.kinds, self.probabilities.round(2).astype(str))


def read_cells() -> Cells:
    """All 2,624 cells of the installed ``elpv-dataset``, in the order of `labutils.data.load("solar")`."""
    names, probabilities, kinds = zip(*read_rows(), strict=True)
    return Cells(np.array(names), np.array(probabilities, dtype=float), np.array(kinds))


def splits(cells: Cells, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training, validation and test of the split ``number``: sorted ids, disjoint, together all cells.

    A quarter is for the test. Of the other three quarters a fifth validates while something is chosen; the
    final training uses both.
    """
    ids = np.arange(len(cells.names))
    rest, test = train_test_split(ids, test_size=TEST, random_state=number, stratify=cells.strata)
    train, validation = train_test_split(
        rest, test_size=VALIDATION, random_state=number, stratify=cells.strata[rest]
    )
    return np.sort(train), np.sort(validation), np.sort(test)


def measures(cells: Cells, ids: np.ndarray, scores: np.ndarray) -> list[dict]:
    """Rows for all cells of ``ids``, the mono and the poly ones.

    Parameters
    ----------
    ids : array of int, shape (n,)
    scores : array of float, shape (n,)
        Probability of a defect that the network gives; from one half on a cell is called defective.

    Returns
    -------
    list of dict
        kind, cells (count), accuracy, F1 of the defective class and area under the ROC curve, each weighted
        by the expert's confidence and without weights.
    """
    rows = []
    for kind in ("all", *KINDS):
        chosen = np.ones(len(ids), bool) if kind == "all" else cells.kinds[ids] == kind
        labels, score = cells.labels[ids][chosen], scores[chosen]
        row = {"kind": kind, "cells": int(chosen.sum())}
        for name, weights in (("weighted_", cells.weights[ids][chosen]), ("", None)):
            row[f"{name}accuracy"] = float(accuracy_score(labels, score >= 0.5, sample_weight=weights))
            row[f"{name}f1"] = float(f1_score(labels, score >= 0.5, sample_weight=weights))
            row[f"{name}auc"] = float(roc_auc_score(labels, score, sample_weight=weights))
        rows.append(row)
    return rows
