"""How long something takes, as far as it was seen."""


class Pace:
    """Seconds for one, the newer ones counting more."""

    _FIRST_GUESS_S = 10.0
    _NEWEST_SHARE = 0.3

    def __init__(self) -> None:
        self.typical_s = self._FIRST_GUESS_S
        self._known = False

    def add(self, seconds: float) -> None:
        """One more took `seconds`."""
        share = self._NEWEST_SHARE if self._known else 1.0
        self.typical_s += share * (seconds - self.typical_s)
        self._known = True
