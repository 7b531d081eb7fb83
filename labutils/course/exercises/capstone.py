"""Checks for the exercises of notebook 10."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from labutils.course.exercises.verdict import verdict, verdict_on_code
from labutils.training.evaluation import Evaluation


def decides_by_cost(answer: Callable) -> None:
    """``answer(probabilities, costs)`` gives for each picture the class with the lowest expected cost."""
    verdict_on_code(
        answer,
        _fault_of_decisions,
        "The expected cost of each class is probabilities @ costs, and the lowest decides. With a miss four times as expensive as a false alarm, "
        "the alarm comes from p = 1/5 on. It holds for probabilities that can be believed, which is what calibration was for.",
    )


def _fault_of_decisions(answer: Callable) -> str | None:
    p = torch.linspace(0.03, 0.97, 48)
    two = torch.stack([1 - p, p], 1), torch.tensor([[0.0, 1.0], [4.0, 0.0]])
    three = torch.rand(64, 3).softmax(1), torch.tensor([[0.0, 1.0, 3.0], [9.0, 0.0, 2.0], [6.0, 5.0, 0.0]])
    for probabilities, costs in (two, three):
        predicted = torch.as_tensor(answer(probabilities.clone(), costs.clone()))
        if predicted.shape != (len(probabilities),):
            return f"Asked is one class for each of the {len(probabilities)} pictures; it gives the shape {tuple(predicted.shape)}."
        each = probabilities @ costs
        if torch.equal(predicted.long(), each.argmin(1)):
            continue
        wrong = {
            "The most probable class is predicted, whatever mistakes cost: the costs play no part.": probabilities.argmax(
                1
            ),
            "Rows and columns are swapped: costs[label, predicted] is paid, so the probabilities go over the rows.": (
                probabilities @ costs.T
            ).argmin(1),
            "That is the class with the highest expected cost: take the lowest.": each.argmax(1),
            "Nearly. An alarm is in vain only when the cell is sound, so it costs 1 · (1 - p) on average, not 1.": (
                probabilities[:, 1] > 1 / 4
            ).long(),
        }
        for hint, instead in wrong.items():
            if torch.equal(predicted.long(), instead):
                return hint
        return (
            f"With {len(costs)} classes {int((predicted != each.argmin(1)).sum())} of {len(predicted)} decisions are not the cheapest. What does "
            "each prediction cost on average?"
        )
    return None


def width_of_the_interval(answer: float, result: Evaluation) -> None:
    """Half the width of the 95 % interval of a test accuracy, from the number of test pictures alone."""
    share, count = result.accuracy, len(result.labels)
    spread = math.sqrt(share * (1 - share))
    right = 1.96 * spread / math.sqrt(count)
    verdict(
        answer,
        lambda half: math.isclose(float(half), right, rel_tol=0.03),
        f"{count} pictures tell this accuracy to about {100 * right:.0f} points either way, whatever the "
        "network. A gain of one point cannot be seen on them in a single run.",
        [
            (
                lambda half: math.isclose(float(half), 100 * right, rel_tol=0.03),
                "That is right in points; give it as a share, from 0 to 1.",
            ),
            (
                lambda half: math.isclose(float(half), right / 1.96, rel_tol=0.03),
                "That is one standard error. 95 % of the luck lies within 1.96 of them.",
            ),
            (
                lambda half: math.isclose(float(half), 2 * right, rel_tol=0.03),
                "That is the whole width, from end to end; asked is half of it, as in ± .",
            ),
            (
                lambda half: any(math.isclose(float(half), s * spread, rel_tol=0.03) for s in (1, 1.96)),
                "That is the spread of a single picture. A mean over n pictures has 1/√n of it.",
            ),
            (
                lambda half: math.isclose(float(half), 1.96 * spread / count, rel_tol=0.03),
                "Divide by the root of the number of pictures, not by the number.",
            ),
        ],
        "With share p of n pictures right: 1.96 · √(p (1 - p) / n).",
    )


def chooses_a_recipe(answer: Callable) -> None:
    """``answer(runs)`` gives the recipe to be taken and the accuracy to be reported for it."""
    verdict_on_code(
        answer,
        _fault_of_a_choice,
        "The choice is made on validation, by the mean over seeds. What is reported was no part of the choice.",
    )


def _fault_of_a_choice(answer: Callable) -> str | None:
    seen = {  # recipe: validation and test accuracies of three seeds
        "steady": ((0.84, 0.85, 0.83), (0.80, 0.79, 0.81)),
        "plain": ((0.80, 0.81, 0.82), (0.78, 0.79, 0.77)),
        "lucky once": ((0.70, 0.95, 0.75), (0.70, 0.76, 0.73)),
        "lucky in the test": ((0.78, 0.79, 0.77), (0.86, 0.84, 0.85)),
    }
    runs = pd.DataFrame(
        {"recipe": name, "seed": seed, "validation_accuracy": validation, "test_accuracy": test}
        for name, parts in seen.items()
        for seed, (validation, test) in enumerate(zip(*parts, strict=True))
    )
    runs = runs.sample(frac=1, random_state=0, ignore_index=True)
    name, accuracy = answer(runs.copy())
    wrong = {
        "lucky in the test": "It chose by the test pictures. Then they are validation pictures, and none are left to test with.",
        "lucky once": "It chose the best single run, which is luck as much as skill: compare the means over the seeds.",
    }
    if name != "steady":
        return wrong.get(name, f"It chose {name!r}. Asked is the recipe with the best mean on validation.")
    validation, test = seen["steady"]
    if abs(accuracy - np.mean(test)) < 1e-6:
        return None
    if abs(accuracy - np.mean(validation)) < 1e-6:
        return (
            "The right recipe, but its validation accuracy was what it was chosen for: the winner looks better than it is. Report its "
            "test accuracy."
        )
    if abs(accuracy - max(test)) < 1e-6:
        return "The right recipe, but that is the best of its seeds: report the mean over all of them."
    return f"The right recipe. The accuracy to report is the mean of its test accuracies, {np.mean(test):.2f}, not {accuracy:.2f}."
