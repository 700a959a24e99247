"""How long a request may still take, carried through all stages and services."""

import math
import re
import time
from dataclasses import dataclass

from service_kit.errors import DeadlineExceeded, InvalidRequest

_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,9})?")
SHARE = 0.75
HEADER = "X-Deadline"
"""Seconds that the caller gives, as a decimal number."""


@dataclass(frozen=True)
class Deadline:
    """A point on the monotonic clock; `math.inf` means that there is none."""

    at: float = math.inf

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        return cls(time.monotonic() + seconds)

    @classmethod
    def from_header(cls, value: str | None) -> "Deadline":
        """Raises InvalidRequest when the header is not a positive number of seconds."""
        if value is None:
            return cls()
        seconds = float(value) if _NUMBER.fullmatch(value) else 0.0
        if not seconds > 0:
            raise InvalidRequest(
                f"{HEADER} 应为正的秒数", f"{HEADER} must be a positive number of seconds", allowed="0.001 …"
            )
        return cls.after(seconds)

    def remaining(self, at_most: float = math.inf) -> float:
        """Seconds left, never more than `at_most`.

        Raises:
            DeadlineExceeded: none is left.
        """
        left = self.at - time.monotonic()
        if left <= 0:
            raise _passed()
        return min(left, at_most)

    def error(self) -> DeadlineExceeded | None:
        """What `remaining` would raise now, or None: for those who end their work instead of raising."""
        return None if time.monotonic() < self.at else _passed()

    def sooner(self, seconds: float) -> "Deadline":
        """This deadline or the one `seconds` from now, whichever comes first."""
        return Deadline(min(self.at, time.monotonic() + seconds))

    def share(self, seconds: float) -> "Deadline":
        """For a part of the work that can be done without: `seconds` from now, or when SHARE of what is left is over,
        so that there is time to go on without it. Raises DeadlineExceeded when nothing is left."""
        return self.sooner(min(seconds, SHARE * self.remaining()))


def _passed() -> DeadlineExceeded:
    return DeadlineExceeded("已超过请求给定的时限", "The request's deadline has passed")


def to_header(seconds: float) -> str:
    """Seconds as the header's value; never 0, which would be no deadline but a fault."""
    return f"{max(seconds, 0.001):.3f}"
