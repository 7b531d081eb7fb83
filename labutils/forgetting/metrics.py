"""What a sequence of tasks leaves behind, as numbers: functions of a matrix of accuracies.

``R[i, j]`` is the accuracy on task j after learning task i, counted from 0. What stands right of the diagonal, on
tasks not learned yet, only forward transfer looks at.
"""

import numpy as np


def average_accuracy(matrix) -> float:
    """Mean accuracy over all tasks after the last one.

    Lopez-Paz and Ranzato 2017, "Gradient episodic memory for continual learning", equation 2.

    Examples
    --------
    >>> average_accuracy([[0.9, 0.5], [0.7, 0.8]])
    0.75
    """
    return float(_square(matrix)[-1].mean())


def backward_transfer(matrix) -> float:
    """Mean change on earlier tasks from when each was learned to the end: negative means forgotten.

    Lopez-Paz and Ranzato 2017, equation 3.

    Examples
    --------
    >>> round(backward_transfer([[0.9, 0.5], [0.7, 0.8]]), 3)
    -0.2
    """
    matrix = _square(matrix, least=2)
    return float((matrix[-1] - matrix.diagonal())[:-1].mean())


def forgetting(matrix) -> float:
    """Mean fall on earlier tasks from their best since they were learned to the end.

    Chaudhry et al. 2018, "Riemannian walk for incremental learning", section 4.1. There the best counts from the first
    task on; here from when the task was learned, as what stands before comes from another head.

    Examples
    --------
    >>> round(forgetting([[0.9, 0.5, 0.5], [0.95, 0.8, 0.5], [0.7, 0.8, 0.9]]), 3)
    0.125
    """
    matrix = _square(matrix, least=2)
    last = len(matrix) - 1
    return float(np.mean([matrix[j:last, j].max() - matrix[last, j] for j in range(last)]))


def forward_transfer(matrix, before) -> float:
    """Mean gain on each task just before it is learned, over a network that has learned none of them.

    Lopez-Paz and Ranzato 2017, equation 4.

    Parameters
    ----------
    matrix : array of shape (T, T)
        Its entries right above the diagonal count. With a head for each task these are accuracies of a new head
        on the shared groups as they are (see `TaskSequence.accuracies`): an untrained head would only guess.
    before : array of shape (T,)
        The same for the network that the sequence started from.

    Examples
    --------
    >>> round(forward_transfer([[0.9, 0.6], [0.7, 0.8]], [0.2, 0.5]), 3)
    0.1
    """
    matrix, before = _square(matrix, least=2), np.asarray(before, float)
    if before.shape != (len(matrix),):
        raise ValueError(
            f"{len(matrix)} tasks need as many accuracies before, not an array of shape {before.shape}"
        )
    return float((matrix.diagonal(offset=1) - before[1:]).mean())


def _square(matrix, least: int = 1) -> np.ndarray:
    matrix = np.asarray(matrix, float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < least:
        raise ValueError(
            f"The matrix has shape {matrix.shape}: a row and a column for each task are needed, of at least {least}"
        )
    return matrix
