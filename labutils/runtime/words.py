"""Lists in messages that stay readable however long they are."""

from collections.abc import Sequence


def listed(names: Sequence[str], most: int = 6, separator: str = ", ") -> str:
    """The first ``most`` names, and how many more there are.

    >>> listed(["lily", "rose", "violet"], 2)
    'lily, rose and 1 more'
    """
    return separator.join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
