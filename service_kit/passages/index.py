"""The passage index as its users see it, whatever engine stands behind."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from service_kit.passages.passage import Passage


@dataclass(frozen=True)
class Hit:
    """One found passage. `score` is BM25's; `normalised_score` is its share (0..1) of what the question could score:
    0.6 says that the passage holds, weighed by rarity, about 60 % of the question."""

    passage: Passage
    id: str
    score: float
    normalised_score: float


@dataclass(frozen=True)
class SearchResult:
    """`hits`, best first; `idf` of each term of the question in this index (rarity, Lucene's BM25 formula)."""

    hits: tuple[Hit, ...]
    idf: Mapping[str, float]


class PassageReader(Protocol):
    """Searches. Safe to share between threads; what a writer commits is seen by the next search.

    May be opened before there is an index. Every method but `close` raises IndexUnavailable, which says what to do,
    as long as the index is missing or unusable; `search` and `check` also while it is empty.
    """

    def search(self, question: str, top_k: int) -> SearchResult:
        """The `top_k` best passages, equal scores in a fixed order; none when the question has no usable term."""

    def score(self, question: str, ids: Sequence[str]) -> tuple[Hit, ...]:
        """Of these passages those that there are, in no order, with the scores that `search` would give them; 0 when
        they share no term with the question."""

    def fetch(self, ids: Sequence[str]) -> list[Passage]:
        """Of these passages those that there are, in no order."""

    def ids(self) -> set[str]:
        """The ids of all passages."""

    def version(self) -> object:
        """Another value after each commit."""

    def count(self) -> int:
        """How many passages the index holds."""

    def check(self) -> dict[str, Any]:
        """Facts for `/readyz`."""

    def close(self) -> None:
        """Let go of files and connections."""


class PassageWriter(Protocol):
    """Writes; one at a time. Nothing is seen, or safe from a crash, before `commit`."""

    @property
    def index_id(self) -> str:
        """Changes whenever the index was begun anew, so that a manifest of another index is not believed."""

    def upsert(self, passages: Iterable[Passage]) -> None:
        """Store each passage under its id, in place of the one that has this id."""

    def delete(self, ids: Iterable[str]) -> None:
        """Remove passages; unknown ids do no harm."""

    def clear(self) -> None:
        """Remove all passages."""

    def commit(self) -> None:
        """Make everything since the last commit last, all of it or nothing."""

    def close(self) -> None:
        """End; what was not committed is dropped."""
