"""The clock of one run: 0 is the moment at which its measured part begins."""

import time


class Clock:
    """Seconds since the measured part began; negative during the warm-up."""

    def __init__(self) -> None:
        self._zero = time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() - self._zero

    def begin_in(self, seconds: float) -> None:
        """Put the zero `seconds` into the future."""
        self._zero = time.monotonic() + seconds
