"""What a training is worth, in sentences that say how many pictures stand behind them."""

from collections.abc import Sequence

from labutils.course.teach.trained import Trained
from labutils.experiments.trials import gain_of

SURE = 1.96  # standard errors: a larger difference is hardly chance
FEW = 10  # pictures to check with
MISTAKES = 8  # shown


def verdict(rounds: Sequence[Trained]) -> str:
    """How the latest training does, and whether it does better than the one before, of other depth, on these pictures."""
    latest = rounds[-1]
    low, high = latest.seen.interval
    words = (
        f"Right: {latest.right} of {latest.checked} pictures that it was not trained on. On many more pictures like "
        f"these, expect between {low:.0%} and {high:.0%}."
    )
    if latest.checked < FEW:
        words += " So few tell next to nothing: collect more."
    others = [one for one in rounds if one.numbers == latest.numbers and one.groups != latest.groups]
    if not others:
        return words
    before = others[-1]
    gain, error = gain_of(latest.seen, before.seen)
    if latest.right == before.right:
        return f"{words} That is as many as with {before.name}."
    chance = abs(gain) <= SURE * error
    return (
        f"{words} With {before.name} it was {before.right}: "
        f"{'so small a difference may be chance' if chance else 'more than chance would do'}."
    )


def result_of(rounds: Sequence[Trained], numbers: Sequence[int]) -> dict:
    """The same for the browser, with the latest training of each depth, and the surest mistakes.

    ``numbers`` are those of the pictures that there are now.
    """
    latest, classes = rounds[-1], rounds[-1].domain.classes
    by_depth = {one.groups: one for one in rounds if one.numbers == latest.numbers}
    return {
        "verdict": verdict(rounds),
        "outdated": list(numbers) != latest.numbers,
        "rounds": [
            {"name": one.name, "right": one.right, "of": one.checked, "seconds": one.seconds}
            for _, one in sorted(by_depth.items())
        ],
        "mistakes": [
            {
                "number": latest.numbers[row.id],
                "label": classes[row.label],
                "answer": classes[row.predicted],
                "sure": row.sure,
            }
            for row in latest.mistakes.head(MISTAKES).itertuples()
        ],
    }
