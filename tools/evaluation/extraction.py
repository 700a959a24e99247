"""Do the quoted sentences contain the answer? CMRC2018 with the gold passage as the only evidence."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from rag_server.quoting.quote import WEIGHTS, choose, probabilities, quoted
from rag_server.quoting.signals import Candidate, Words, candidates
from tools.evaluation.cases import FOLDS, Case, read_cases
from tools.evaluation.fitting import Matrix, fit_choice
from tools.evaluation.table import Table

LEAST_CONTAINED = 0.88
MOST_CHARACTERS = 110

Pool = Sequence[Candidate]
Chooser = Callable[[Case, Pool], Sequence[str]]
"""The texts to quote, in reading order."""


def run(bench: Path | None) -> Table:
    """Today's rule, the same fitted on other passages than it is tried on, and the best sentences by idf alone."""
    if bench is None:
        return Table("extraction: needs the answers of CMRC2018, which are not here", ())
    cases = read_cases(bench / "cmrc.passages.jsonl", bench / "cmrc.queries.jsonl", depth=1)
    pools = [(case, candidates(Words.of(case.query, case.found.idf), case.gold)) for case in cases]
    fitted = [fit(pools, without=fold) for fold in range(FOLDS)]
    rows = [
        *(measure(f"best {n} by idf", pools, _by_idf(n)) for n in (1, 2, 3)),
        measure("as shipped", pools, lambda case, pool: _quoted(case, pool, WEIGHTS)),
        measure("cross-validated", pools, lambda case, pool: _quoted(case, pool, fitted[case.fold])),
    ]
    whole = fit(pools, without=None)
    print("weights fitted on all:", ", ".join(f"{name} {weight:.1f}" for name, weight in whole.items()))
    return Table("extraction: the quotes contain the answer (CMRC2018, gold passage given)", rows, _missed(rows[-1]))


def measure(name: str, pools: Sequence[tuple[Case, Pool]], chooser: Chooser) -> dict[str, float | str]:
    """Share of the questions whose quotes, joined in reading order, contain an answer; characters; quotes."""
    contained, characters, quotes = 0, 0, 0
    for case, pool in pools:
        chosen = chooser(case, pool)
        text = "".join(chosen)
        contained += any(answer in text for answer in case.answers)
        characters += len(text)
        quotes += len(chosen)
    n = len(pools)
    return {"rule": name, "contained": contained / n, "characters": characters / n, "quotes": quotes / n}


def fit(pools: Iterable[tuple[Case, Pool]], *, without: int | None) -> Mapping[str, float]:
    """Weights as those of rag_server.quoting.quote, from the questions outside one fold."""
    signals, right, question = list[list[float]](), list[bool](), list[int]()
    questions = 0
    for case, pool in pools:
        holds = answering(case, pool)
        if case.fold == without or not any(holds):
            continue
        signals.extend([candidate.signals[name] for name in WEIGHTS] for candidate in pool)
        right.extend(holds)
        question.extend([questions] * len(pool))
        questions += 1
    weights: Matrix = fit_choice(np.array(signals), np.array(right, float), np.array(question))
    return dict(zip(WEIGHTS, weights.tolist(), strict=True))


def answering(case: Case, pool: Pool) -> list[bool]:
    """Which sentences hold an answer; when none does, which hold a part of one that runs over several."""
    whole = [any(answer in candidate.sentence.text for answer in case.answers) for candidate in pool]
    if any(whole):
        return whole
    text = case.gold[0].text
    spans = [(text.find(answer), text.find(answer) + len(answer)) for answer in case.answers if answer in text]
    return [any(max(a, c.sentence.start) < min(b, c.sentence.end) for a, b in spans) for c in pool]


def _by_idf(most: int) -> Chooser:
    def best(case: Case, pool: Pool) -> Sequence[str]:
        words = Words.of(case.query, case.found.idf)
        chosen = sorted(pool, key=lambda candidate: -words.share(candidate.terms))[:most]
        return [one.sentence.text for one in sorted(chosen, key=lambda candidate: candidate.sentence.start)]

    return best


def _quoted(case: Case, pool: Pool, weights: Mapping[str, float]) -> Sequence[str]:
    chosen = choose(pool, probabilities(pool, weights))
    return [quote.text for quote in quoted(Words.of(case.query, case.found.idf), chosen)]


def _missed(row: Mapping[str, float | str]) -> list[str]:
    missed = []
    if float(row["contained"]) < LEAST_CONTAINED:
        missed.append(f"contained {row['contained']:.3f} < {LEAST_CONTAINED}")
    if float(row["characters"]) > MOST_CHARACTERS:
        missed.append(f"{row['characters']:.0f} characters > {MOST_CHARACTERS}")
    return missed
