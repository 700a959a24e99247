"""Compares the passages of a document with its truth. Pure functions."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tools.bench_preprocess.files import File
from tools.preprocess.pipeline import Document
from tools.preprocess.structure.text import squeeze

_RUN = 6
"""Characters in a row that must come back for each of them to count as found."""
_PAGE_NUMBER = re.compile(r"^\s*[—-]\s*\d+\s*[—-]\s*$|\.{6,}", re.MULTILINE)
FIELDS = ("title", "doc_no", "issuer", "issued", "effective", "repealed", "status")


@dataclass
class Score:
    """Sums over documents; shares are made of them at the end."""

    documents: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    articles: int = 0
    whole_articles: int = 0
    characters: int = 0
    found: int = 0
    written: int = 0
    noise: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def shares(self) -> dict[str, float]:
        """By name, 0 to 1."""
        fields = {name: self.right[name] / self.asked[name] for name in FIELDS if self.asked[name]}
        return {
            **fields,
            "fields": sum(self.right.values()) / max(sum(self.asked.values()), 1),
            **({"articles": self.whole_articles / self.articles} if self.articles else {}),
            "recall": self.found / max(self.characters, 1),
            "noise": self.noise / max(self.written, 1),
        }


def add(score: Score, file: File, document: Document) -> None:
    """Count one document in."""
    score.documents += 1
    _fields(score, file, document)
    texts = [squeeze(piece.text) for piece in document.pieces]
    _articles(score, file, texts)
    together = "".join(texts) + squeeze(document.facts.title)
    score.written += len(together)
    for wanted in map(squeeze, file.truth.text()):
        missing = len(wanted) - _found(wanted, together)
        score.characters += len(wanted)
        score.found += len(wanted) - missing
        if missing:
            score.faults.append(f"{file.name}: {missing} characters missing of {wanted[:40]}")
    for line in file.noise:
        hits = together.count(squeeze(line)) - "".join(map(squeeze, file.truth.text())).count(squeeze(line))
        if hits > 0:
            score.noise += hits * len(squeeze(line))
            score.faults.append(f"{file.name}: noise {line} x{hits}")
    for piece in document.pieces:
        for found in _PAGE_NUMBER.finditer(piece.text):
            score.noise += len(found.group().strip())
            score.faults.append(f"{file.name}: noise {found.group().strip()[:20]}")


def _fields(score: Score, file: File, document: Document) -> None:
    truth, facts = file.truth, document.facts
    expected = {
        "title": truth.full_title, "doc_no": truth.doc_no, "issuer": truth.issuer, "issued": truth.issued,
        "effective": truth.effective, "repealed": truth.repealed, "status": truth.status,
    }  # fmt: skip
    if file.name.endswith((".xlsx", ".csv")):
        expected = {"title": truth.full_title}
    for name, value in expected.items():
        got = getattr(facts, name) or ""
        if not value and name in ("issuer", "effective"):  # may be there although the model sets none apart
            continue
        score.asked[name] += 1
        if squeeze(got) == squeeze(value):
            score.right[name] += 1
        else:
            score.faults.append(f"{file.name}: {name} is {got!r}, not {value!r}")


def _articles(score: Score, file: File, texts: Sequence[str]) -> None:
    """An article is right when one passage holds all of it, and nothing of another."""
    articles = list(map(squeeze, file.truth.articles()))
    for article in articles:
        score.articles += 1
        holders = [text for text in texts if article in text]
        others = [other for other in articles if other != article and other not in article]
        if any(not any(other in text for other in others) for text in holders):
            score.whole_articles += 1
        else:
            score.faults.append(f"{file.name}: article {article[:30]} in {len(holders)} passages")


def _found(wanted: str, text: str) -> int:
    """How many characters of `wanted` stand in `text` in runs of at least _RUN."""
    if wanted in text:
        return len(wanted)
    covered = [False] * len(wanted)
    for at in range(len(wanted) - _RUN + 1):
        if wanted[at : at + _RUN] in text:
            covered[at : at + _RUN] = [True] * _RUN
    return sum(covered)
