"""Results as files: JSON holds everything and can be read again, CSV a line for each request."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from service_kit.errors import InvalidRequest
from tools.load_test.figures import Figures
from tools.load_test.loads import Rounds
from tools.load_test.run import Run
from tools.load_test.sample import Sample
from tools.load_test.target import Target

FORMAT = 1
COLUMNS = (
    "load", "user", "intended", "started", "ended", "latency", "fault", "retry_after", "ttft", "pieces", "max_gap",
    "tokens", "leaked", "canary_seen",
)  # fmt: skip
"""Of each request. Points in time in seconds since the run began; the stages follow as `stage_NAME` in seconds."""


@dataclass(frozen=True)
class Stored:
    """What `compare` needs of one run in a file."""

    label: str
    latencies: tuple[float, ...]
    """Of the answers, seconds, in the order of their beginnings."""
    ttfts: tuple[float, ...]
    """The same of streamed answers, else empty."""
    ended: tuple[float, ...]
    """Moments at which answers were complete, ascending; empty for rounds, whose bursts have no steady rate."""


def write_json(path: Path, target: Target, started: str, runs: Sequence[tuple[Run, Figures]]) -> None:
    """`started`: date and time of the first run, ISO 8601."""
    document = {
        "format": FORMAT,
        "url": target.url,
        "service": target.name,
        "started": started,
        "runs": [_run(run, figures) for run, figures in runs],
    }
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1), "utf-8")


def write_csv(path: Path, runs: Sequence[tuple[Run, Figures]]) -> None:
    """All requests of all runs."""
    rows = [_row(run, sample) for run, _ in runs for sample in run.samples]
    stages = sorted({name for row in rows for name in row if name.startswith("stage_")})
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, (*COLUMNS, *stages))
        writer.writeheader()
        writer.writerows(rows)


def read_stored(path: Path) -> tuple[Stored, ...]:
    """The runs in a file that `write_json` wrote.

    Raises:
        InvalidRequest: it is no such file.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
        return tuple(_stored(run) for run in document["runs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidRequest(f"读不了结果 {path}：{error!r}", f"Can not read results from {path}: {error!r}") from None


def _run(run: Run, figures: Figures) -> dict[str, Any]:
    load = {field.name: getattr(run.load, field.name) for field in fields(run.load) if field.name != "times"}
    return {
        "label": run.load.label,
        "load": {"mode": run.load.mode, **load},
        "elapsed_s": round(run.elapsed_s, 6),
        "warmup_requests": run.warmup,
        "interrupted": run.interrupted,
        "figures": figures.as_json(),
        "samples": [_row(run, sample) for sample in run.samples],
    }


def _row(run: Run, sample: Sample) -> dict[str, Any]:
    values = asdict(sample) | {
        "load": run.load.label,
        "latency": sample.latency,
        "ttft": sample.ttft,
        "pieces": 0 if sample.first is None else len(sample.gaps) + 1,
        "max_gap": max(sample.gaps, default=None),
    }
    row = {name: values[name] for name in COLUMNS} | {f"stage_{name}": s for name, s in sample.stages.items()}
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in row.items()}


def _stored(run: dict[str, Any]) -> Stored:
    answers = sorted((row for row in run["samples"] if row["fault"] is None), key=lambda row: row["intended"])
    return Stored(
        label=run["label"],
        latencies=tuple(row["latency"] for row in answers),
        ttfts=tuple(row["ttft"] for row in answers if row["ttft"] is not None),
        ended=() if run["load"]["mode"] == Rounds.mode else tuple(sorted(row["ended"] for row in answers)),
    )
