"""What a figure has to reach."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """`value` has to be at least `bar`, or at most if `upper`."""

    name: str
    value: float
    bar: float
    upper: bool

    @property
    def reached(self) -> bool:
        return self.value <= self.bar if self.upper else self.value >= self.bar

    def line(self) -> str:
        """One row of the table."""
        sign = "<=" if self.upper else ">="
        return f"{self.name:<56} {sign} {self.bar:<8g} {self.value:8.2f}   {'reached' if self.reached else 'MISSED'}"
