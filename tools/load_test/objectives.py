"""`--slo ttft=2,total=20`: which answers came in good time."""

from dataclasses import dataclass

from service_kit.errors import InvalidRequest
from tools.load_test.sample import Sample

NAMES = ("ttft", "total")


@dataclass(frozen=True)
class Objectives:
    """Most seconds until the first text and until the end; None: no limit."""

    ttft: float | None = None
    total: float | None = None

    def met_by(self, sample: Sample) -> bool:
        """Whether this is an answer, and in time. The text of one that is not streamed is there at its end only."""
        return (
            sample.ok
            and (self.ttft is None or sample.wait_for_text <= self.ttft)
            and (self.total is None or sample.latency <= self.total)
        )


def parse_objectives(text: str) -> Objectives:
    """Raises InvalidRequest when `text` is not of the form `ttft=2,total=20`."""
    try:
        limits = {name.strip(): float(value) for name, _, value in (part.partition("=") for part in text.split(","))}
    except ValueError:
        limits = {}
    if not limits or not set(limits) <= set(NAMES):
        raise InvalidRequest(f"--slo：不认识 {text}", f"--slo: can not read {text}", allowed="ttft=2,total=20")
    return Objectives(**limits)
