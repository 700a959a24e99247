"""What is known of one request once it is over."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sample:
    """One request. All points in time are seconds since the measured part of the run began.

    `intended` is when the load asked for it, `started` when the client sent it: the same, unless the client is late.
    Latency counts from `intended`, so that a stall of the server is felt by every request that should have begun
    during it ("coordinated omission" is to leave those out).
    """

    user: int
    """Number of the thread, the session or the arrival, from 0."""
    intended: float
    started: float
    ended: float
    fault: str | None = None
    """None for a real answer, else the name of what went wrong."""
    retry_after: float | None = None
    """Seconds from the `Retry-After` of a refusal."""
    first: float | None = None
    """When the first piece of a streamed answer came; None when it was not streamed."""
    gaps: tuple[float, ...] = ()
    """Seconds between the pieces of a streamed answer, one less than there are pieces."""
    tokens: int | None = None
    """Tokens as the server counts them (`usage`), else the pieces; None when not streamed."""
    stages: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each stage by name, as rag_server's `timings` tells them."""
    leaked: int = 0
    """Canaries of other sessions found in the answer."""
    canary_seen: bool = False
    """Whether the session's own canary came back: where it never does, a leak could not be seen either."""

    @property
    def ok(self) -> bool:
        return self.fault is None

    @property
    def latency(self) -> float:
        return self.ended - self.intended

    @property
    def ttft(self) -> float | None:
        """Seconds to the first piece of a streamed answer."""
        return None if self.first is None else self.first - self.intended

    @property
    def wait_for_text(self) -> float:
        """Seconds until there is something to read: an answer that is not streamed comes all at once."""
        return (self.ended if self.first is None else self.first) - self.intended

    @property
    def tokens_per_s(self) -> float | None:
        """Speed of one streamed answer after its first piece; None when there is nothing to measure."""
        streaming_s = sum(self.gaps)
        return (self.tokens - 1) / streaming_s if self.tokens and streaming_s > 0 else None
