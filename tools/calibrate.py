"""Below which confidence to refuse: `python -m tools.calibrate PASSAGES QUERIES [--write FILE]`.

PASSAGES and QUERIES are as for evaluate_retrieval; PASSAGES may also be a folder as es_index reads it, whose file names
are the ids. Each question is asked twice: over all passages, and with its gold passages hidden, when it has no answer.
`--unanswerable FILE` adds questions (`{"query"}`) of which you know that the material does not answer them.

`YIJU_CALIBRATION=FILE` makes rag_server use what `--write` wrote.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from es_index.scan import list_files, read_passage
from rag_server.calibration import Calibration
from rag_server.confidence import LOOKED_AT, confidence
from service_kit.errors import InvalidRequest
from tools.console import run_tool
from tools.evaluation.cases import read_cases
from tools.evaluation.measures import auroc, share_below, threshold_at
from tools.retrieval_set import read_lines

STEPS = 20


@dataclass(frozen=True)
class Sample:
    """Confidences of questions that the material answers, of the same with their gold passages hidden, and of
    questions that it does not answer anyway."""

    answerable: Sequence[float]
    hidden: Sequence[float]
    unanswerable: Sequence[float]

    @property
    def without_answer(self) -> Sequence[float]:
        return (*self.hidden, *self.unanswerable)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.calibrate", description=__doc__.splitlines()[0])
    parser.add_argument("passages", type=_there)
    parser.add_argument("queries", type=_there)
    parser.add_argument("--unanswerable", type=_there, metavar="FILE", help="questions without an answer here")
    parser.add_argument("--false-refusal", type=_share, default=0.05, metavar="SHARE", help="allowed (default: 0.05)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw them (needs matplotlib: the `load` set)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the threshold for YIJU_CALIBRATION")
    args = parser.parse_args(argv)
    sample = measure(args.passages, args.queries, args.unanswerable)
    threshold = round_down(threshold_at(sample.answerable, args.false_refusal))
    rows = [at(value, sample) for value in sorted({*steps(sample.answerable), threshold})]
    print_table(rows, threshold)
    area = auroc(sample.answerable, sample.without_answer)
    print(f"{len(sample.answerable)} questions, AUROC {area:.3f}; refuse below {threshold}")
    chosen = at(threshold, sample)
    name = " ".join(str(path) for path in (args.passages, args.queries, args.unanswerable) if path)
    calibration = Calibration(
        threshold=threshold,
        date=datetime.now().astimezone().date().isoformat(),
        set=name,
        questions=len(sample.answerable),
        false_refusal=round(chosen["false refusal"], 4),
        refusal=round(chosen["refusal"], 4),
    )
    if args.json:
        args.json.write_text(json.dumps({"auroc": area, **calibration.model_dump(), "rows": rows}, indent=2))
    if args.png:
        draw(rows, threshold, args.png)
    if args.write:
        args.write.write_text(calibration.model_dump_json(indent=2) + "\n")
    return 0


def measure(passages: Path, queries: Path, unanswerable: Path | None) -> Sample:
    """Ask all questions."""
    answerable, hidden, others = list[float](), list[float](), list[float]()
    with _as_lines(passages) as lines, tempfile.TemporaryDirectory() as directory:
        asked = Path(directory) / "queries.jsonl"
        known = [(line["query"], line["gold"]) for line in _lines(queries, "query", "gold")]
        unknown = [(line["query"], list[str]()) for line in (_lines(unanswerable, "query") if unanswerable else ())]
        asked.write_text("".join(json.dumps({"query": q, "gold": gold}) + "\n" for q, gold in [*known, *unknown]))
        for number, case in enumerate(read_cases(lines, asked, LOOKED_AT)):
            value = confidence(case.query, case.found).value
            if number < len(known):
                answerable.append(value)
                hidden.append(confidence(case.query, case.hidden).value)
            else:
                others.append(value)
    return Sample(answerable, hidden, others)


def at(threshold: float, sample: Sample) -> Mapping[str, float]:
    """What refusing below `threshold` does."""
    row = {
        "threshold": threshold,
        "false refusal": share_below(threshold, sample.answerable),
        "refusal": share_below(threshold, sample.without_answer),
    }
    if sample.unanswerable:
        row |= {
            "gold hidden": share_below(threshold, sample.hidden),
            "unanswerable": share_below(threshold, sample.unanswerable),
        }
    return row


def steps(answerable: Sequence[float]) -> list[float]:
    """Thresholds that refuse 0, 1, 2, … STEPS percent of the answerable questions."""
    return [round_down(threshold_at(answerable, percent / 100)) for percent in range(STEPS + 1)]


def round_down(value: float) -> float:
    """To four digits, never up: that would refuse the question that had this value."""
    return int(value * 10_000) / 10_000


def print_table(rows: Sequence[Mapping[str, float]], threshold: float) -> None:
    """Shares in percent; an arrow at the threshold."""
    names = list(rows[0])
    print("  ".join(f"{name:>13}" for name in names))
    for row in rows:
        shares = "  ".join(f"{100 * row[name]:>12.1f}%" for name in names[1:])
        print(f"{row['threshold']:>13.4f}  {shares}{'  <-' if row['threshold'] == threshold else ''}")


def draw(rows: Sequence[Mapping[str, float]], threshold: float, path: Path) -> None:
    """Refusal over false refusal."""
    from matplotlib.figure import Figure  # noqa: PLC0415  # only where a picture is wanted

    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    for name in (name for name in rows[0] if name not in ("threshold", "false refusal")):
        axes.plot([100 * row["false refusal"] for row in rows], [100 * row[name] for row in rows], "o-", label=name)
    axes.axvline(next(100 * row["false refusal"] for row in rows if row["threshold"] == threshold), ls=":", c="gray")
    axes.set(xlabel="answerable questions refused, %", ylabel="unanswerable questions refused, %", ylim=(0, 100))
    axes.legend()
    figure.savefig(path, dpi=120)


@contextmanager
def _as_lines(passages: Path) -> Iterator[Path]:
    """A folder of passages as the JSONL that evaluate_retrieval reads."""
    if not passages.is_dir():
        yield passages
        return
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "passages.jsonl"
        with path.open("w") as lines:
            for file in list_files(passages).files:
                passage = read_passage(passages, file)
                lines.write(json.dumps({"id": str(file), "title": passage.title, "text": passage.text}) + "\n")
        yield path


def _lines(path: Path, *keys: str) -> list[dict[str, Any]]:
    """The file's questions. Raises InvalidRequest: it can not be read, or a line lacks one of `keys`."""
    found: list[dict[str, Any]] = []
    try:
        for line in read_lines(path):
            found.append({key: line[key] for key in keys})  # noqa: PERF401  # how many there are tells the line
    except (OSError, ValueError, KeyError, TypeError) as error:
        form = "{" + ", ".join(f'"{key}": …' for key in keys) + "}"
        reason = f"{type(error).__name__}: {error.strerror if isinstance(error, OSError) else error}"
        raise InvalidRequest(
            f"{path} 第 {len(found) + 1} 行读不了（{reason}）；应为 JSONL，每行 {form}",
            f"{path}, line {len(found) + 1}, can not be read ({reason}); it must be JSON lines, each {form}",
        ) from None
    return found


def _there(text: str) -> Path:
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(
            f"没有 {text} / there is no {text}: PASSAGES is a folder or a JSONL file, QUERIES and FILE are JSONL"
        )
    return path


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError("0 to 1")
    return value


if __name__ == "__main__":
    run_tool(main)
