"""The loads that a run can put on a service.

Closed: a user asks again only when he is answered. Open: requests arrive whether or not earlier ones are answered.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

Arrival = Literal["poisson", "constant", "trace"]


@dataclass(frozen=True)
class Rounds:
    """Closed, the tutorial's: all threads ask at once and the next round waits for the slowest."""

    threads: int
    rounds: int
    warmup_s: float = 0.0
    mode: ClassVar[str] = "rounds"

    @property
    def concurrency(self) -> int:
        return self.threads

    @property
    def max_in_flight(self) -> int:
        return self.threads

    @property
    def label(self) -> str:
        return f"threads {self.threads}"

    @property
    def expected(self) -> int:
        """Requests, as far as they are known before."""
        return self.threads * self.rounds


@dataclass(frozen=True)
class Steady:
    """Closed: every thread asks one question after the other for `duration_s`."""

    threads: int
    duration_s: float
    warmup_s: float = 0.0
    mode: ClassVar[str] = "steady"
    expected: ClassVar[None] = None

    @property
    def concurrency(self) -> int:
        return self.threads

    @property
    def max_in_flight(self) -> int:
        return self.threads

    @property
    def label(self) -> str:
        return f"threads {self.threads}"


@dataclass(frozen=True)
class Open:
    """Open: requests begin at `times`, whether or not earlier ones are answered.

    `times` are seconds from the start, ascending; those before `warmup_s` are not counted. When `max_in_flight`
    requests are unanswered, an arrival is dropped and counted as such.
    """

    arrival: Arrival
    rate: float
    """Intended arrivals per second."""
    times: tuple[float, ...]
    max_in_flight: int
    warmup_s: float = 0.0
    mode: ClassVar[str] = "open"
    concurrency: ClassVar[None] = None

    @property
    def label(self) -> str:
        return f"{self.arrival} {self.rate:g}/s"

    @property
    def expected(self) -> int:
        return sum(1 for time in self.times if time >= self.warmup_s)


@dataclass(frozen=True)
class Conversations:
    """Closed: `sessions` conversations at once, each asks `turns` questions one after the other."""

    sessions: int
    turns: int
    mode: ClassVar[str] = "conversations"
    warmup_s: ClassVar[float] = 0.0

    @property
    def concurrency(self) -> int:
        return self.sessions

    @property
    def max_in_flight(self) -> int:
        return self.sessions

    @property
    def label(self) -> str:
        return f"sessions {self.sessions} x turns {self.turns}"

    @property
    def expected(self) -> int:
        return self.sessions * self.turns


Load = Rounds | Steady | Open | Conversations
