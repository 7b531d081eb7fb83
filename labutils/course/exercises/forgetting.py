"""Checks for the exercises of notebook 08."""

import math
from collections.abc import Callable

import numpy as np
import torch

from labutils.course.exercises.verdict import verdict, verdict_on_code
from labutils.course.measured_tables import measured
from labutils.course.small_networks import small_network
from labutils.forgetting import at_equal_accuracy, forgetting, method_means

# After each of three tasks: accuracies on the three. The first task rose before it fell.
MATRIX = np.array([[0.80, 0.20, 0.30], [0.90, 0.70, 0.40], [0.60, 0.60, 0.90]])
# Here a task was best before it was learned, as a probe: that is no knowledge to be forgotten.
LUCKY = np.array(
    [[0.70, 0.95, 0.30, 0.1], [0.60, 0.80, 0.35, 0.2], [0.65, 0.70, 0.85, 0.1], [0.40, 0.75, 0.55, 0.8]]
)


def measures_forgetting(answer: Callable) -> None:
    """``answer(R)`` gives the mean fall of the earlier tasks from their best accuracy since they were learned."""
    verdict_on_code(
        answer,
        _fault_of_a_measure,
        "Each earlier task falls from the best that it reached since it was learned; the last one had no time to be forgotten.",
    )


def _fault_of_a_measure(answer: Callable) -> str | None:
    for R in (MATRIX, LUCKY):
        given, right = float(answer(R.copy())), forgetting(R)
        if math.isclose(given, right, abs_tol=1e-6):
            continue
        last, diagonal = R[-1, :-1], np.diag(R)[:-1]
        wrong = {
            "Forgetting counts a loss as positive: the best accuracy minus the last.": -right,
            "That is the fall from the diagonal, which is backward transfer with the sign turned. A task may have risen before it fell: begin "
            "at its best.": (diagonal - last).mean(),
            "That is backward transfer. Forgetting begins at the best accuracy since a task was learned, and is positive.": (
                last - diagonal
            ).mean(),
            "That averages over all tasks. The last one was just learned: leave it out.": right
            * (len(R) - 1)
            / len(R),
            "The best of a whole column counts what a task had before it was learned, when a probe stood in for its head: begin at the "
            "diagonal.": (R.max(0)[:-1] - last).mean(),
            "That is a sum. Asked is the mean over the earlier tasks.": right * (len(R) - 1),
        }
        for hint, instead in wrong.items():
            if math.isclose(given, instead, abs_tol=1e-6):
                return hint
        return f"For one matrix of {len(R)} tasks it gives {given:.3f}, not {right:.3f}. Go through the columns of the earlier tasks."
    return None


def best_keeper(answer, least: float) -> None:
    """Name of the way that keeps most of the old task where at least ``least`` of the new one is learned."""
    table = measured("forgetting")
    found, means = at_equal_accuracy(table, least), method_means(table)
    right = found["method"].iloc[0]
    keeps_most = means.loc[means["old_test"].idxmax(), "method"]
    learns_most = means.loc[means["new_test"].idxmax(), "method"]
    verdict(
        answer,
        right,
        f"At {least:.0%} on the new task it keeps {found['old_test'].iloc[0]:.1%} of the old one.",
        [
            (
                lambda given: given == keeps_most != right,
                "It keeps most of all, but at that strength it has not learned enough of the new task.",
            ),
            (
                lambda given: given == learns_most != right,
                "It learns most of all. Asked is what is *kept* by those that learn enough.",
            ),
            (
                lambda given: given in set(found.loc[found["strength"].isna(), "method"]),
                "At none of its strengths does it learn that much on the validation pictures.",
            ),
            (
                lambda given: given in set(table["method"]),
                "Others that learn enough keep more of the old task: sort by old_validation.",
            ),
        ],
        f"Answer with a name from the column method: {', '.join(table['method'].unique())}.",
    )


def pulls_back(answer: Callable) -> None:
    """``answer(net, start, importance, strength)`` gives what EWC adds to the loss."""
    verdict_on_code(
        answer,
        _fault_of_a_pull,
        "A spring on each shared weight: half its stiffness times the square of how far it was stretched. The head is free.",
    )


def _fault_of_a_pull(answer: Callable) -> str | None:
    net, strength = small_network(seed=1), 3.0
    start = {name: weight.detach().clone() for name, weight in small_network().named_parameters()}
    importance = {name: torch.rand_like(weight) for name, weight in start.items()}
    term = answer(net, dict(start), dict(importance), strength)

    def total(power: int = 2, weighed: bool = True, head: bool = False, from_zero: bool = False) -> float:
        now = {name: weight.detach() for name, weight in net.named_parameters()}
        names = [name for name in start if head or not name.startswith("head.")]
        moved = {name: (now[name] if from_zero else now[name] - start[name]).abs() ** power for name in names}
        return strength * sum(float((m * importance[n] if weighed else m).sum()) for n, m in moved.items())

    given = float(torch.as_tensor(term).detach())
    if not math.isclose(given, total() / 2, rel_tol=1e-3):
        wrong = {
            "The ½ is missing: ½ λ Σ F (w − w₀)².": (total(),),
            "The head is pulled, too. It belongs to the task, not to what all tasks share: leave its weights out.": (
                total(head=True) / 2,
                total(head=True),
            ),
            "That pulls all weights alike, which is L2-SP: multiply each square by the importance of its weight.": (
                total(weighed=False) / 2,
                total(weighed=False),
            ),
            "That pulls toward 0, which is weight decay: the spring is at rest where the weight started.": (
                total(from_zero=True) / 2,
                total(from_zero=True),
            ),
            "The distance is squared: a weight twice as far away costs four times as much.": (
                total(power=1) / 2,
                total(power=1),
            ),
            "The strength is not in it.": (total() / 2 / strength, total() / strength),
            "A loss is to be made smaller: the term must be positive.": (-total() / 2,),
        }
        for hint, values in wrong.items():
            if any(math.isclose(given, value, rel_tol=1e-3) for value in values):
                return hint
        return f"It gives {given:.4g} where ½ λ Σ F (w − w₀)² is {total() / 2:.4g}."
    if not (isinstance(term, torch.Tensor) and term.requires_grad):
        return "The number is right, but no gradient comes from it: .item() and detach() cut it off, and nothing would be pulled."
    return None
