"""When the requests of an open load are meant to begin."""

import random
from pathlib import Path

from service_kit.errors import InvalidRequest


def constant(rate: float, duration_s: float) -> tuple[float, ...]:
    """`rate` arrivals per second at equal distances, from 0 until before `duration_s`."""
    return tuple(n / rate for n in range(int(rate * duration_s)))


def poisson(rate: float, duration_s: float, seed: int) -> tuple[float, ...]:
    """Arrivals of many independent users: exponential distances of mean 1 / `rate`; the same for the same seed."""
    dice = random.Random(seed)  # noqa: S311  # no secret
    times: list[float] = []
    now = dice.expovariate(rate)
    while now < duration_s:
        times.append(now)
        now += dice.expovariate(rate)
    return tuple(times)


def trace(path: Path) -> tuple[float, ...]:
    """Arrivals as they were recorded: one number a line, seconds since any moment; shifted to begin at 0.

    Raises:
        InvalidRequest: the file can not be read, holds no number, or a line that is none.
    """
    try:
        lines = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
        times = sorted(float(line) for line in lines)
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"读不了到达时间 {path}：{error}", f"Can not read arrivals from {path}: {error}") from None
    if not times:
        raise InvalidRequest(f"{path} 里没有到达时间", f"{path} holds no arrivals")
    return tuple(time - times[0] for time in times)
