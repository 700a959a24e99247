"""`--assert 'p99<2' 'failures==0'`: conditions that decide the exit code."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service_kit.errors import InvalidRequest
from tools.load_test.figures import Figures
from tools.load_test.percentiles import Percentiles

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
COUNTS = ("requests", "succeeded", "failures", "refused", "rate", "dropped", "max_in_flight", "unfinished", "leaks")
PERCENTILES = ("min", "mean", "p50", "p90", "p95", "p99", "max")
SPREADS = ("latency", "ttft", "gap", "tokens_per_s", "lateness")
NAMES = (*COUNTS, "goodput", "goodput_share", *PERCENTILES, *(f"{s}_{p}" for s in SPREADS for p in PERCENTILES))
"""What can be asserted; a bare percentile is one of the latency. Seconds, counts, per second."""


@dataclass(frozen=True)
class Assertion:
    """One condition."""

    text: str
    name: str
    operator: str
    limit: float

    def holds(self, figures: Figures) -> bool:
        """False, too, when the figure does not exist: without one answer there is no p99 below two seconds."""
        value = value_of(self.name, figures)
        return value is not None and OPERATORS[self.operator](value, self.limit)


def parse_assertion(text: str) -> Assertion:
    """Raises InvalidRequest when `text` is not `NAME OPERATOR NUMBER`."""
    match = re.fullmatch(r"\s*(\w+)\s*(<=|>=|==|!=|<|>)\s*([0-9.eE+-]+)\s*", text)
    try:
        if match and match[1] in NAMES:
            return Assertion(text, match[1], match[2], float(match[3]))
    except ValueError:
        pass
    raise InvalidRequest(
        f"--assert：不认识 {text}；名称：{' '.join(NAMES)}", f"--assert: can not read {text}; names: {' '.join(NAMES)}"
    )


def value_of(name: str, figures: Figures) -> float | None:
    """The figure called `name`, one of NAMES; None when this run has none."""
    if name in COUNTS:
        return float(getattr(figures, name))
    if name in ("goodput", "goodput_share"):
        goodput = figures.goodput
        return None if goodput is None else goodput.share if name == "goodput_share" else goodput.per_s
    spread, _, point = name.rpartition("_")
    found: Percentiles | None = getattr(figures, spread or "latency")
    return None if found is None else float(getattr(found, point))
