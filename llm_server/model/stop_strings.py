"""Ends a text before the first stop string in it."""

from collections.abc import Sequence


class StopStrings:
    """Lets text through as soon as no stop string can begin in it any more."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.met = False
        """Whether a stop string has come; nothing more is let through."""

    def push(self, piece: str) -> str:
        """The text that is safe to show now."""
        if self.met:
            return ""
        self._held += piece
        places = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if places:
            self.met = True
            return self._held[: min(places)]
        safe = len(self._held) - self._possible_start()
        shown, self._held = self._held[:safe], self._held[safe:]
        return shown

    def flush(self) -> str:
        """What was held back, when the text ends without a stop string."""
        return "" if self.met else self._held

    def _possible_start(self) -> int:
        """Length of the longest end of the held text with which a stop string begins."""
        return max(
            (
                size
                for stop in self._stops
                for size in range(1, min(len(stop) - 1, len(self._held)) + 1)
                if self._held.endswith(stop[:size])
            ),
            default=0,
        )
