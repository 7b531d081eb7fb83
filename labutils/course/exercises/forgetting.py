"""Checks for the exercises of notebook 08."""

import math

from labutils.course.exercises.verdict import verdict
from labutils.course.measured_tables import measured
from labutils.forgetting import at_equal_accuracy, backward_transfer, forgetting, method_means
from labutils.training.extra_loss import body

# A matrix whose forgetting differs from its backward transfer: the first task rose before it fell.
MATRIX = ((0.80, 0.20, 0.30), (0.90, 0.70, 0.40), (0.60, 0.60, 0.90))


def numbers_by_hand(answer) -> None:
    """Backward transfer and forgetting of `MATRIX`, as a pair."""
    right = backward_transfer(MATRIX), forgetting(MATRIX)

    def pair(first, second):
        def matches(given) -> bool:
            one, two = map(float, given)
            return math.isclose(one, first, abs_tol=2e-3) and math.isclose(two, second, abs_tol=2e-3)

        return matches

    to_last = [MATRIX[2][j] - MATRIX[j][j] for j in range(3)]
    verdict(
        answer,
        pair(*right),
        "Forgetting is the larger fall: the first task had gained ten points from the second before it lost thirty.",
        [
            (pair(-right[0], right[1]), "Backward transfer is end minus diagonal: a loss is negative."),
            (
                pair(right[0], -right[0]),
                "That counts the fall from the diagonal twice. Forgetting begins at the best accuracy since the task was "
                "learned, which may stand below the diagonal.",
            ),
            (
                pair(sum(to_last) / 3, right[1]),
                "Average over the two earlier tasks: the last one had no time to be forgotten.",
            ),
            (
                lambda given: not hasattr(given, "__len__") or len(given) != 2,
                "Give two numbers as a pair: (backward transfer, forgetting).",
            ),
        ],
        "Look at the columns of the first two tasks alone: the last row, the diagonal, and the highest value between.",
    )


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


def penalty(answer, before, after, importance) -> None:
    """What EWC with λ = 1 adds for ``after``, whose weights stood where ``before`` has them, at these importances."""
    then, now = body(before), body(after)

    def total(power: int = 2, weighed: bool = True) -> float:
        moved = {name: (now[name] - then[name]).detach().double().abs() ** power for name in importance}
        return sum(float((m * importance[n] if weighed else m).sum()) for n, m in moved.items())

    verdict(
        answer,
        0.5 * total(),
        "A spring on each weight: half its stiffness times the square of how far it was stretched.",
        [
            (total(), "The ½ is missing: ½ λ Σ F (w − w_old)²."),
            (
                lambda given: _near(given, (0.5 * total(weighed=False), total(weighed=False))),
                "That pulls all weights alike, which is L2-SP: multiply each square by the importance of its weight.",
            ),
            (
                lambda given: _near(given, (total(power=1), 0.5 * total(power=1))),
                "The distance is squared: a weight twice as far away costs four times as much.",
            ),
            (
                lambda given: float(given) < 0,
                "A sum of squares times importances of 0 or more cannot be negative.",
            ),
        ],
        "Go through the names in the importances: dict(model.named_parameters())[name] holds the weights of a model. "
        "Heads are not among them, and not shared.",
    )


def _near(given, values) -> bool:
    return any(math.isclose(float(given), value, rel_tol=0.01) for value in values)
