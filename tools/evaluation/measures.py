"""Measures of how well a number tells two kinds of questions apart. Pure functions."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence


def auroc(higher: Sequence[float], lower: Sequence[float]) -> float:
    """How often one of `higher` is over one of `lower`, ties half.

    >>> auroc([0.5, 0.9], [0.1, 0.5])
    0.875
    """
    below = sorted(lower)
    wins = sum(bisect_left(below, value) + bisect_right(below, value) for value in higher)
    return wins / 2 / len(higher) / len(below)


def share_below(threshold: float, values: Sequence[float]) -> float:
    """Share of `values` that are less than `threshold`."""
    return sum(value < threshold for value in values) / len(values)


def threshold_at(values: Sequence[float], share: float) -> float:
    """The highest of `values` that at most `share` of them are below.

    >>> threshold_at([0.1, 0.2, 0.3, 0.4], 0.25)
    0.2
    """
    return sorted(values)[int(len(values) * share)]
