"""The passage index as its users see it, whatever engine stands behind."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypedDict

from service_kit.passages.filters import NO_FILTERS, Filters
from service_kit.passages.highlights import Span, highlights
from service_kit.passages.passage import Passage
from service_kit.passages.validity import Status


@dataclass(frozen=True)
class Hit:
    """One found passage. `score` is BM25's; `normalised_score` is its share (0..1) of what the question could score:
    0.6 says that the passage holds, weighed by rarity, about 60 % of the question. Hits stand in the order of
    `ordering.ordered`, which is not always that of the scores."""

    passage: Passage
    id: str
    score: float
    normalised_score: float
    status: Status = "unknown"
    """As of the day that the filters name, or today."""
    exact: bool = False
    """Whether the question names this very document by its 文号, or this article of its law."""
    factor: float = 1.0
    """What its score is worth beside others' (see `ordering`)."""
    idf: Mapping[str, float] = field(default_factory=dict, repr=False)
    """Of the question's terms."""

    @property
    def highlights(self) -> tuple[Span, ...]:
        """`[start, end)` in code points of the passage's text: the question's words. Found when asked for: a hundred
        candidates are weighed for each one that is shown."""
        return highlights(self.passage.text, self.idf)


@dataclass(frozen=True)
class SearchResult:
    """`hits`, best first; `idf` of each term of the question in this index (rarity, Lucene's BM25 formula)."""

    hits: tuple[Hit, ...]
    idf: Mapping[str, float]


class Probe(TypedDict):
    """One line of a self-test; `message` says what was seen, or what is wrong and what to do."""

    name: str
    ok: bool
    message: str


@dataclass(frozen=True)
class IndexIds:
    """Ids (`PassageWriter.index_id`) of the indices that there are. `serving`: of the one that is searched and that a
    writer would go on with, None when there is none, or none that can be used; `all`: old ones too, that are kept."""

    serving: str | None
    all: frozenset[str]


class PassageReader(Protocol):
    """Searches. Safe to share between threads; what a writer commits is seen by the next search.

    May be opened before there is an index. Every method but `close` and `selftest` raises IndexUnavailable, which says
    what to do, as long as the index is missing or unusable; `search` and `check` also while it is empty.
    """

    def search(self, question: str, top_k: int, filters: Filters = NO_FILTERS) -> SearchResult:
        """The `top_k` best passages that `filters` allow, equal scores in a fixed order; none when the question has
        no usable term and names no document."""

    def score(self, question: str, ids: Sequence[str], filters: Filters = NO_FILTERS) -> tuple[Hit, ...]:
        """Of these passages those that there are and that `filters` allow, with the scores that `search` would give
        them; 0 when they share no term with the question."""

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

    def selftest(self) -> list[Probe]:
        """Whether the index can be trusted: Chinese is cut as Chinese, a passage of it is found by its own words.
        Ends with the first probe that fails; never raises IndexUnavailable."""

    def close(self) -> None:
        """Let go of files and connections."""


class PassageWriter(Protocol):
    """Writes; one at a time. Nothing is seen, or safe from a crash, before `commit`.

    The embedded engine commits all of it or nothing. Elasticsearch has no such thing: it may get operations from the
    first one on, and those that a killed run has sent stay, to be seen with a later commit. So whoever writes notes
    the ids before (`Manifest.mark_pending`) and settles afterwards what became of them.
    """

    @property
    def index_id(self) -> str:
        """Changes whenever the index was begun anew, so that a manifest of another index is not believed."""

    def upsert(self, passages: Iterable[Passage]) -> None:
        """Store each passage under its id, in place of the one that has this id."""

    def delete(self, ids: Iterable[str]) -> None:
        """Remove passages; unknown ids do no harm."""

    def clear(self) -> None:
        """Remove all passages."""

    def begin_commit(self) -> None:
        """Say that `commit` will come soon, so that the engine may begin with it while the caller has other work."""

    def commit(self) -> None:
        """Make everything since the last commit last and seen.

        Raises:
            PassagesRejected: the engine does not take some; all others are committed.
            DependencyDown: the engine fails; some may have been stored and some not.
        """

    def close(self) -> None:
        """End; what was not committed is dropped, as far as the engine has not got it yet."""


class RebuildWriter(PassageWriter, Protocol):
    """Fills a new index, which nobody searches before `publish`; the one that is searched is not touched."""

    def publish(self) -> None:
        """After the last commit: from now on this index is searched, in one step, and the other one is kept."""

    def discard(self) -> None:
        """Instead of `publish`: remove the new index."""
