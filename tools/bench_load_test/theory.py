"""What queueing theory says of one worker with a constant service time."""

from collections.abc import Sequence


def mean_wait_md1(rate: float, service_s: float) -> float:
    """Mean seconds in the queue when arrivals are random (Pollaczek-Khinchine); needs rate x service_s < 1.

    >>> round(mean_wait_md1(100, 0.005), 4)
    0.0025
    """
    load = rate * service_s
    return load * service_s / (2 * (1 - load))


def mean_wait_of(times: Sequence[float], service_s: float) -> float:
    """Mean seconds in the queue for exactly these arrivals (Lindley's recursion).

    >>> mean_wait_of([0, 1, 10], 4)
    1.0
    """
    waits, free_at = 0.0, 0.0
    for time in times:
        begins = max(time, free_at)
        waits += begins - time
        free_at = begins + service_s
    return waits / len(times)
