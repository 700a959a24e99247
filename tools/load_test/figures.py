"""The figures of a run; pure functions of its samples."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tools.load_test.judge import REFUSALS
from tools.load_test.objectives import Objectives
from tools.load_test.percentiles import Percentiles, percentiles
from tools.load_test.run import Run
from tools.load_test.sample import Sample

OTHER = "other"
"""Name of the time that no stage accounts for: queues, transport, bookkeeping."""


@dataclass(frozen=True)
class Refusals:
    """How often one status refused, and the smallest and largest `Retry-After` in seconds."""

    count: int
    retry_after: tuple[float, float] | None


@dataclass(frozen=True)
class Goodput:
    """Answers within the objectives: per second, and as a share of all that was asked, drops included."""

    per_s: float
    share: float


@dataclass(frozen=True)
class Stage:
    """Mean seconds of one stage, and its share of the mean latency."""

    mean_s: float
    share: float


@dataclass(frozen=True)
class Figures:
    """Times are those of answers: a refusal in two milliseconds is no quick answer. Rates are per second."""

    requests: int
    succeeded: int
    faults: Mapping[str, int]
    """By name, refusals left out."""
    refusals: Mapping[str, Refusals]
    rate: float
    """Answers per second, from the beginning to the last answer."""
    latency: Percentiles | None
    ttft: Percentiles | None
    gap: Percentiles | None
    tokens_per_s: Percentiles | None
    """Speed of one stream."""
    all_tokens_per_s: float | None
    """Of all streams together."""
    stages: Mapping[str, Stage]
    goodput: Goodput | None
    lateness: Percentiles | None
    """How late the client began, in seconds."""
    dropped: int
    max_in_flight: int
    unfinished: int
    leaks: int
    canaries_seen: int
    """Answers that showed their own session's canary."""
    client_cpu: float
    client_lag_s: float
    client_is_bottleneck: bool

    @property
    def failures(self) -> int:
        return self.requests - self.succeeded

    @property
    def refused(self) -> int:
        return sum(refusals.count for refusals in self.refusals.values())

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"failures": self.failures, "refused": self.refused}


def figures(run: Run, objectives: Objectives | None = None) -> Figures:
    """All figures of `run`; goodput only with `objectives`."""
    answers = [sample for sample in run.samples if sample.ok]
    faults = Counter(sample.fault for sample in run.samples if sample.fault)
    latency = percentiles(sample.latency for sample in answers)
    tokens = sum(sample.tokens or 0 for sample in answers)
    return Figures(
        requests=len(run.samples),
        succeeded=len(answers),
        faults={fault: count for fault, count in faults.most_common() if fault not in REFUSALS},
        refusals={name: _refusals(run.samples, name) for name in REFUSALS if name in faults},
        rate=_per_s(len(answers), run),
        latency=latency,
        ttft=percentiles(sample.ttft for sample in answers if sample.ttft is not None),
        gap=percentiles(gap for sample in answers for gap in sample.gaps),
        tokens_per_s=percentiles(speed for sample in answers if (speed := sample.tokens_per_s) is not None),
        all_tokens_per_s=_per_s(tokens, run) if tokens else None,
        stages=stages(answers),
        goodput=_goodput(run, objectives) if objectives else None,
        lateness=percentiles(max(0.0, sample.started - sample.intended) for sample in run.samples),
        dropped=run.dropped,
        max_in_flight=run.max_in_flight,
        unfinished=run.unfinished,
        leaks=sum(sample.leaked for sample in run.samples),
        canaries_seen=sum(sample.canary_seen for sample in run.samples),
        client_cpu=run.strain.cpu,
        client_lag_s=run.strain.lag_s,
        client_is_bottleneck=run.strain.is_bottleneck(latency.p99 if latency else 0.0),
    )


def stages(answers: Sequence[Sample]) -> dict[str, Stage]:
    """Mean time and share of each stage, then of what no stage accounts for; empty when no answer tells its stages."""
    told = [sample for sample in answers if sample.stages]
    if not told:
        return {}
    sums: defaultdict[str, float] = defaultdict(float)
    for sample in told:
        for name, seconds in sample.stages.items():
            sums[name] += seconds
    total = sum(sample.latency for sample in told)
    sums[OTHER] = max(0.0, total - sum(sums.values()))
    return {name: Stage(seconds / len(told), seconds / total) for name, seconds in sums.items()}


def _refusals(samples: Sequence[Sample], fault: str) -> Refusals:
    refused = [sample for sample in samples if sample.fault == fault]
    waits = [sample.retry_after for sample in refused if sample.retry_after is not None]
    return Refusals(len(refused), (min(waits), max(waits)) if waits else None)


def _goodput(run: Run, objectives: Objectives) -> Goodput:
    good = sum(objectives.met_by(sample) for sample in run.samples)
    asked = len(run.samples) + run.dropped
    return Goodput(_per_s(good, run), good / asked if asked else 0.0)


def _per_s(count: int, run: Run) -> float:
    # Interrupted before the measured part began, a run has lasted for no time.
    return count / run.elapsed_s if run.elapsed_s > 0 else 0.0
