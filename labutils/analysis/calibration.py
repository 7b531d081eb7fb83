"""Is a network as often right as it is sure? And one number that makes it so."""

import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F


def reliability(logits: Tensor, labels: Tensor, bins: int = 10) -> pd.DataFrame:
    """How sure the network was against how often it was right, for answers that were about equally sure.

    Parameters
    ----------
    logits : Tensor of shape (N, classes)
        Before softmax, such as ``Evaluation.logits``. How sure an answer is, is its own probability.
    labels : Tensor of int64, shape (N,)
    bins : int, default 10
        Equally wide, from 0 to 1; empty ones are left out. A value on an edge belongs to the bin below.

    Returns
    -------
    DataFrame
        A row a bin: low, high, pictures (count), confidence and accuracy (means over its pictures, 0 to 1).

    Raises
    ------
    ValueError
        No pictures, or another number of labels than of logits.

    Notes
    -----
    Guo et al. 2017, "On calibration of modern neural networks", section 2.
    """
    if not len(labels) or len(labels) != len(logits):
        raise ValueError(
            f"{len(logits)} rows of logits and {len(labels)} labels: one label per row is needed, and at least one row"
        )
    confidence, answers = logits.double().softmax(1).max(1)
    table = pd.DataFrame({"confidence": confidence.numpy(), "accuracy": (answers == labels).double().numpy()})
    edges = np.linspace(0, 1, bins + 1)
    table["bin"] = _bin(table["confidence"].to_numpy(), bins)
    found = table.groupby("bin").agg(
        pictures=("accuracy", "size"), confidence=("confidence", "mean"), accuracy=("accuracy", "mean")
    )
    found.insert(0, "low", edges[found.index])
    found.insert(1, "high", edges[found.index + 1])
    return found.reset_index(drop=True)


def calibration_error(logits: Tensor, labels: Tensor, bins: int = 10) -> float:
    """Expected calibration error: by how much, on average, "how sure" and "how often right" differ, 0 to 1.

    Each bin of `reliability` counts by its pictures (Guo et al. 2017, equation 3). With few pictures it never is 0,
    not even for a network that is perfectly honest: compare it with `error_if_calibrated`.

    Examples
    --------
    >>> sure = torch.tensor([[100.0, 0.0]] * 4)
    >>> calibration_error(sure, torch.tensor([0, 0, 0, 1]))
    0.25
    """
    table = reliability(logits, labels, bins)
    gaps = (table["confidence"] - table["accuracy"]).abs()
    return float(np.average(gaps, weights=table["pictures"]))


def error_if_calibrated(logits: Tensor, bins: int = 10, draws: int = 200, seed: int = 0) -> float:
    """The calibration error that chance alone gives: of a network that is exactly as often right as it is sure.

    For the same probabilities labels are drawn that fit them, again and again.

    Parameters
    ----------
    draws : int, default 200

    Returns
    -------
    float
        Mean over the draws. An error that is not clearly above it shows nothing.

    Notes
    -----
    Vaicenavicius et al. 2019, "Evaluating model calibration in classification", section 5 ("consistency resampling").
    """
    generator = torch.Generator().manual_seed(seed)
    probabilities = logits.double().softmax(1)
    confidence, answers = probabilities.max(1)
    drawn = torch.multinomial(probabilities, draws, replacement=True, generator=generator)
    right = (drawn == answers[:, None]).double()  # (N, draws)
    surplus = torch.zeros(bins, draws, dtype=torch.float64)
    surplus.index_add_(0, torch.from_numpy(_bin(confidence.numpy(), bins)), confidence[:, None] - right)
    return float(surplus.abs().sum(0).mean() / len(logits))


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature by which logits are divided so that the network is as sure as it has a right to be.

    It minimises the cross-entropy of ``logits / temperature``. Above 1 the network was too sure, below 1 too shy. No
    answer changes, for the largest logit stays the largest.

    Parameters
    ----------
    logits : Tensor of shape (N, classes)
        Of the validation pictures: on those it was trained on every network is too sure, and the test is for the end.
    labels : Tensor of int64, shape (N,)

    Returns
    -------
    float
        From 0.05 to 20.

    Notes
    -----
    Guo et al. 2017, section 4.2, "temperature scaling".
    """
    from scipy.optimize import minimize_scalar

    def loss(logarithm: float) -> float:
        return float(F.cross_entropy(logits.double() / math.exp(logarithm), labels))

    # The loss is convex in 1 / temperature, so there is one valley; the bounds are for networks that make no mistake.
    found = minimize_scalar(loss, bounds=(math.log(0.05), math.log(20)), method="bounded")
    return float(math.exp(found.x))


def _bin(confidence: np.ndarray, bins: int) -> np.ndarray:
    edges = np.linspace(0, 1, bins + 1)
    return (np.searchsorted(edges, confidence, side="left") - 1).clip(0, bins - 1)
