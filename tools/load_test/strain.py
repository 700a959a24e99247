"""How hard the client itself has to work: a client that can not keep up measures itself."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

PULSE_S = 0.02
CPU_LIMIT = 0.85
"""Share of one core; above it requests wait for the client."""
LAG_SHARE = 0.1
"""Lag of the client's loop that is too much, as a share of the latency at the same percentile."""
LAG_FLOOR_S = 0.005
"""Lag that any machine shows now and then."""
SHORTEST_S = 1.0
"""In less time nothing can be said."""


@dataclass(frozen=True)
class Strain:
    """`cpu`: share of one core that the client used. `lag_s`: 99th percentile of how late its event loop woke up."""

    cpu: float = 0.0
    lag_s: float = 0.0
    watched_s: float = 0.0

    def is_bottleneck(self, latency_p99_s: float) -> bool:
        """Whether the figures say more about the client than about the service."""
        too_late = self.lag_s > max(LAG_FLOOR_S, LAG_SHARE * latency_p99_s)
        return self.watched_s >= SHORTEST_S and (self.cpu > CPU_LIMIT or too_late)


class StrainGauge:
    """Measures between `watching` and its end."""

    def __init__(self) -> None:
        self._lags: list[float] = []
        self._began = (0.0, 0.0)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """To be entered inside the event loop that is watched."""
        self._began = (time.perf_counter(), time.process_time())
        pulse = asyncio.get_running_loop().create_task(self._pulse())
        try:
            yield
        finally:
            pulse.cancel()

    def read(self) -> Strain:
        """The strain until now."""
        wall, cpu = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
        lags = sorted(self._lags)
        return Strain(cpu / wall, lags[int(0.99 * len(lags))] if lags else 0.0, wall)

    async def _pulse(self) -> None:
        while True:
            due = time.perf_counter() + PULSE_S
            await asyncio.sleep(PULSE_S)
            self._lags.append(max(0.0, time.perf_counter() - due))
