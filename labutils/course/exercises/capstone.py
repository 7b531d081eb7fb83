"""Checks for the exercises of notebook 10."""

import math

from labutils.course.exercises.verdict import verdict
from labutils.experiments.learning_curve import PowerLaw
from labutils.training.evaluation import Evaluation

COST_OF_A_MISS, COST_OF_AN_ALARM = 4, 1
GOAL = 0.10  # test error


def alarm_from(answer: float) -> None:
    """From which probability of "defective" on an alarm is the cheaper choice, when a miss costs four times an alarm."""
    miss, alarm = COST_OF_A_MISS, COST_OF_AN_ALARM
    verdict(
        answer,
        alarm / (alarm + miss),
        f"At p = 1/{alarm + miss} both cost the same: staying silent {miss} · p, the alarm {alarm} · (1 - p). It holds for "
        "probabilities that can be believed, which is what calibration was for.",
        [
            (0.5, "That is the choice when both mistakes cost the same."),
            (
                alarm / miss,
                "Nearly. An alarm is in vain only when the cell is sound, so it costs 1 · (1 - p) on average, not 1.",
            ),
            (
                miss / (alarm + miss),
                "The other way round: a miss is dear, so the alarm should come sooner than at one half, not later.",
            ),
            (lambda p: not 0 < float(p) < 1, "A probability lies between 0 and 1."),
        ],
        "Write down what each choice costs on average at probability p, and where the two are equal.",
    )


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


def labels_for_the_goal(answer: float, law: PowerLaw) -> None:
    """How many labels the power law asks for until one test picture in ten is wrong."""
    right, low, high = law.needed(GOAL)
    now = law.error([500])["error"].iloc[0]
    per_label = law.gain(500)[0]
    verdict(
        answer,
        lambda labels: math.isclose(float(labels), right, rel_tol=0.02),
        f"About {_rounded(right)}, if the law holds that far out, and the runs it was fitted to allow for anything from "
        f"{_rounded(low)} to {_rounded(high)}. Nobody should order labels on that: other pictures, a better network or "
        "cleaner labels may be the cheaper way.",
        [
            (
                lambda labels: (
                    math.isclose(float(labels), 500 + (now - GOAL) / per_label, rel_tol=0.02)
                    or math.isclose(float(labels), (now - GOAL) / per_label, rel_tol=0.02)
                ),
                "That takes each further label to be worth what the next one is. They are worth less and less.",
            ),
            (
                lambda labels: math.isclose(float(labels), law.needed(1 - GOAL)[0], rel_tol=0.02),
                "The law speaks of errors: an accuracy of 90 % is an error of 0.1.",
            ),
            (
                lambda labels: any(math.isclose(float(labels), end, rel_tol=0.02) for end in (low, high)),
                "That is an end of the interval. Asked is the estimate, the first of the three numbers.",
            ),
            (
                lambda labels: math.isclose(float(labels), right - 500, rel_tol=0.02),
                "Those are the labels beyond the 500. Asked are all of them.",
            ),
        ],
        "law.needed(error) gives the estimate and the two ends of its interval.",
    )


def _rounded(labels: float) -> str:
    """Two digits: more would promise too much."""
    if not math.isfinite(labels) or labels > 1e9:
        return "more than a billion"
    digits = max(0, int(math.floor(math.log10(labels))) - 1)
    return f"{round(labels / 10**digits) * 10**digits:,}"
