"""Does the confidence tell questions that the material answers from those that it does not?

Unanswerable are questions whose gold passages are hidden (CMRC2018 over all its passages, and over small indexes; law),
and, over a few laws at a time, questions about other laws and about something else.
"""

import json
import math
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rag_server.confidence import CONSTANT, LOOKED_AT, WEIGHTS, signals
from rag_server.turn import Retrieved
from tools.evaluation.cases import FOLDS, read_cases
from tools.evaluation.fitting import Matrix, fit_logistic
from tools.evaluation.measures import auroc, share_below, threshold_at
from tools.evaluation.table import Figure, Table
from tools.retrieval_set import read_lines

LEAST_AUROC = 0.955
LEAST_REFUSAL = 0.83
FALSE_REFUSAL = 0.05
SMALL = 90
"""Passages of a small index."""
LAWS = 3
"""Laws of an index whose other questions are about other laws."""

COUNTS: Mapping[str, float] = {"cmrc": 1.0, "cmrc small": 0.3, "law bundles": 0.3, "law": 0.0}
"""How much a question of each set counts in the fit. Among all of law, hiding the gold articles hides little: hundreds
of others are nearly the same."""

Lines = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Row:
    """One question over one index."""

    group: str
    kind: str
    """Why it has no answer; `answerable` when it has."""
    fold: int
    signals: Mapping[str, float]


def run(bench: Path | None) -> Table:
    """AUROC, and the share of the unanswerable refused when 5 % of the answerable are; fitted on other folds."""
    if bench is None:
        return Table("answerability: needs CMRC2018 and the law bench, which are not here", ())
    rows = [*_cmrc(bench), *_small(bench), *_bundles(bench), *_law(bench)]
    weights, constant = _fit(rows, without=None)
    print("fitted on all:", ", ".join(f"{n} {w:.2f}" for n, w in weights.items()), f"constant {constant:.2f}")
    models = [_fit(rows, without=fold) for fold in range(FOLDS)]
    fitted = [_odds(row, *models[row.fold]) for row in rows]
    shipped = [_odds(row, WEIGHTS, CONSTANT) for row in rows]
    table: list[dict[str, Figure]] = []
    for group in COUNTS:
        for kind in sorted({row.kind for row in rows if row.group == group} - {"answerable"}):
            line: dict[str, Figure] = {"set": group, "unanswerable": kind}
            for name, odds in (("", fitted), (" as shipped", shipped)):
                of = [(o, r.kind) for o, r in zip(odds, rows, strict=True) if r.group == group]
                yes, no = ([o for o, k in of if k == wanted] for wanted in ("answerable", kind))
                line |= {
                    f"AUROC{name}": auroc(yes, no),
                    f"refused at 5 %{name}": share_below(threshold_at(yes, FALSE_REFUSAL), no),
                }
            table.append(line)
    return Table("answerability: cross-validated by passage", table, _missed(table[0]))


def _cmrc(bench: Path) -> Iterator[Row]:
    return _hidden("cmrc", bench / "cmrc.passages.jsonl", bench / "cmrc.queries.jsonl")


def _law(bench: Path) -> Iterator[Row]:
    return _hidden("law", bench / "law.passages.jsonl.xz", bench / "law.queries.jsonl")


def _hidden(group: str, passages: Path, queries: Path) -> Iterator[Row]:
    for case in read_cases(passages, queries, LOOKED_AT):
        for kind, found in (("answerable", case.found), ("gold hidden", case.hidden)):
            yield Row(group, kind, case.fold, _signals(case.query, found))


def _small(bench: Path) -> Iterator[Row]:
    """The same questions over indexes of SMALL passages each: idf is another there."""
    passages = list(read_lines(bench / "cmrc.passages.jsonl"))
    queries = list(read_lines(bench / "cmrc.queries.jsonl"))
    random.Random(0).shuffle(passages)  # noqa: S311  # the same figures on every run
    for start in range(0, len(passages), SMALL):
        part = passages[start : start + SMALL]
        ids = {one["id"] for one in part}
        with _files(part, [query for query in queries if set(query["gold"]) <= ids]) as (left, right):
            yield from _hidden("cmrc small", left, right)


def _bundles(bench: Path) -> Iterator[Row]:
    """Over LAWS laws at a time: the questions about them, as many about other laws, and as many from CMRC2018."""
    dice = random.Random(0)  # noqa: S311
    articles, law_of = defaultdict[str, list[Mapping[str, Any]]](list), dict[str, str]()
    for line in read_lines(bench / "law.passages.jsonl.xz"):
        law_of[line["id"]] = line["title"].split()[0]
        articles[law_of[line["id"]]].append(line)
    queries = [(one, {law_of[gold] for gold in one["gold"]}) for one in read_lines(bench / "law.queries.jsonl")]
    elsewhere = list(read_lines(bench / "cmrc.queries.jsonl"))
    asked = sorted({law for _, laws in queries for law in laws})
    dice.shuffle(asked)
    for number, start in enumerate(range(0, len(asked), LAWS)):
        bundle = set(asked[start : start + LAWS])
        own = [one for one, laws in queries if laws <= bundle]
        other = [one for one, laws in dice.sample(queries, len(own)) if not laws & bundle]
        off = dice.sample(elsewhere, len(own))
        kinds = ["answerable"] * len(own) + ["other law"] * len(other) + ["off topic"] * len(off)
        asking = [{"query": one["query"], "gold": []} for one in (*own, *other, *off)]
        with _files([line for law in bundle for line in articles[law]], asking) as (left, right):
            for kind, case in zip(kinds, read_cases(left, right, LOOKED_AT), strict=True):
                yield Row("law bundles", kind, number % FOLDS, _signals(case.query, case.found))


@contextmanager
def _files(passages: Lines, queries: Lines) -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory() as directory:
        paths = Path(directory) / "passages.jsonl", Path(directory) / "queries.jsonl"
        for path, lines in zip(paths, (passages, queries), strict=True):
            path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        yield paths


def _signals(query: str, found: Retrieved) -> Mapping[str, float]:
    return signals(query, found.evidence, found.idf)


def _fit(rows: Sequence[Row], *, without: int | None) -> tuple[Mapping[str, float], float]:
    used = [row for row in rows if row.fold != without and row.signals and COUNTS[row.group]]
    table: Matrix = np.array([[row.signals[name] for name in WEIGHTS] for row in used])
    yes = np.array([row.kind == "answerable" for row in used], float)
    weights, constant = fit_logistic(table, yes, np.array([COUNTS[row.group] for row in used]))
    return dict(zip(WEIGHTS, weights.tolist(), strict=True)), constant


def _odds(row: Row, weights: Mapping[str, float], constant: float) -> float:
    if not row.signals:  # no passage at all
        return -math.inf
    return constant + sum(weights[name] * value for name, value in row.signals.items())


def _missed(row: Mapping[str, Figure]) -> list[str]:
    bars = {"AUROC": LEAST_AUROC, "refused at 5 %": LEAST_REFUSAL}
    return [f"{name} {row[name]:.3f} < {bar}" for name, bar in bars.items() if float(row[name] or 0) < bar]
