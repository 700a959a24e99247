"""Bootstrap intervals for values that depend on their neighbours, as the latencies of one run do.

A queue that is long now is long for the next request, too. Drawing single requests would ignore that and make intervals
far too narrow, so whole blocks of neighbours are drawn (the circular block bootstrap).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Statistic = Callable[[Values], float]

RESAMPLES = 1000
LEVEL = 0.95
BLOCKS = 20
"""Blocks that a run is cut into: long enough to hold a busy period, enough of them to tell their spread."""
WIDEN = 1.1
"""Twenty blocks tell their spread only roughly: Student's t instead of the normal distribution, and 20 / 19."""


@dataclass(frozen=True)
class Ratio:
    """The second run's value over the first one's, with its 95 % interval."""

    first: float
    second: float
    low: float
    high: float

    @property
    def ratio(self) -> float:
        return self.second / self.first

    @property
    def differs(self) -> bool:
        """Whether the interval excludes 1."""
        return not self.low <= 1 <= self.high


def ratio_of(first: Sequence[float], second: Sequence[float], statistic: Statistic, seed: int = 0) -> Ratio:
    """Compares `statistic` of two runs; values in order of time, above 0, at least one in each."""
    dice = np.random.default_rng(seed)  # the same interval for the same files
    one, two = np.asarray(first, float), np.asarray(second, float)
    logs = np.log(resampled(two, statistic, dice)) - np.log(resampled(one, statistic, dice))
    tail = 50 * (1 - LEVEL)
    low, middle, high = np.percentile(logs, [tail, 50, 100 - tail])
    widened = (middle + WIDEN * (end - middle) for end in (low, high))
    return Ratio(statistic(one), statistic(two), *(float(np.exp(end)) for end in widened))


def resampled(values: Values, statistic: Statistic, dice: np.random.Generator) -> Values:
    """`statistic` of RESAMPLES resamples, each as long as `values`; shape (RESAMPLES,)."""
    length = max(1, len(values) // BLOCKS)
    within = np.arange(length)
    count = -(-len(values) // length)

    def resample() -> Values:
        begins = dice.integers(0, len(values), (count, 1))
        return values.take((begins + within).ravel()[: len(values)], mode="wrap")

    return np.array([statistic(resample()) for _ in range(RESAMPLES)])
