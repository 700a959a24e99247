"""Percentiles of durations by an HDR histogram: no value is made up between two that were seen."""

from collections.abc import Iterable
from dataclasses import dataclass

from hdrh.histogram import HdrHistogram

HIGHEST_US = 24 * 3600 * 1_000_000
DIGITS = 3
"""Significant digits: a percentile is at most 0.1 % off."""


@dataclass(frozen=True)
class Percentiles:
    """Seconds (or another unit, where it is said)."""

    count: int
    min: float
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float


def percentiles(values: Iterable[float]) -> Percentiles | None:
    """Of values from 0 to 86,400 (a day in seconds), with a resolution of a millionth; None when there are none."""
    seen = list(values)
    if not seen:
        return None
    histogram = HdrHistogram(1, HIGHEST_US, DIGITS)
    for value in seen:
        histogram.record_value(round(value * 1_000_000))
    most = max(seen)

    def at(percent: float) -> float:
        # The histogram answers with the upper end of a bucket, which may lie above all that was seen.
        return min(most, float(histogram.get_value_at_percentile(percent)) / 1_000_000)

    return Percentiles(len(seen), min(seen), sum(seen) / len(seen), at(50), at(90), at(95), at(99), most)
