"""What arguments may be."""

from numbers import Integral


def is_whole(value: object) -> bool:
    """Whether ``value`` is a whole number, of Python or NumPy; 2.0 and "2" are not."""
    return isinstance(value, Integral)
