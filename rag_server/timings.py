"""The milliseconds that each stage of one turn took."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

STAGES = ("understand", "retrieve", "assemble", "first_token", "answer", "verify")


class Timings:
    """A stopwatch for one turn; begins when it is made."""

    def __init__(self) -> None:
        self._began = perf_counter()
        self._ms = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def measured(self, stage: str) -> Iterator[None]:
        """Add the time inside to `stage`."""
        began = perf_counter()
        try:
            yield
        finally:
            self._ms[stage] += (perf_counter() - began) * 1000

    def first_token(self) -> None:
        """Note, the first time, how long after the begin the first text of the answer came."""
        self._ms["first_token"] = self._ms["first_token"] or (perf_counter() - self._began) * 1000

    def result(self) -> dict[str, float]:
        """Milliseconds of each of STAGES, 0 for what was not reached. `answer` leaves out what `verify` took in it."""
        ms = self._ms | {"answer": max(0.0, self._ms["answer"] - self._ms["verify"])}
        return {name: round(value, 2) for name, value in ms.items()}
