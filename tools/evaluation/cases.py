"""Questions of a benchmark with the passages that are found for them, and those found once the gold ones are gone."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from rag_server.turn import Evidence, Retrieved
from service_kit.passages import Hit, open_reader
from service_kit.settings import load_settings
from tools.retrieval_set import index, read_lines

FOLDS = 5


@dataclass(frozen=True)
class Case:
    """One question."""

    query: str
    answers: tuple[str, ...]
    gold: tuple[Evidence, ...]
    """Its gold passages, numbered from 1."""
    found: Retrieved
    """As rag_server gets it."""
    hidden: Retrieved
    """What would be found if the gold passages were not in the index: the question has no answer then."""
    fold: int
    """Of FOLDS. Questions of one passage are in one fold, so that nothing is tried on a passage it was fitted on."""


def read_cases(passages: Path, queries: Path, depth: int) -> Iterator[Case]:
    """Index `passages`, and search for each of `queries`; both as evaluate_retrieval reads them."""
    known = {line["id"]: (line["title"], line["text"]) for line in read_lines(passages)}
    order = {identifier: at for at, identifier in enumerate(known)}
    with tempfile.TemporaryDirectory() as directory:
        settings = load_settings(data=Path(directory), search="embedded")
        names = index(settings, passages)
        with closing(open_reader(settings)) as reader:
            for line in tqdm(list(read_lines(queries)), desc="search", disable=None):
                gold = set(line["gold"]) & known.keys()
                result = reader.search(line["query"], depth + len(gold))
                others = [hit for hit in result.hits if not names[hit.id] & gold]
                yield Case(
                    line["query"],
                    tuple(line.get("answers", ())),
                    tuple(bare(n, *known[one]) for n, one in enumerate(sorted(gold), start=1)),
                    retrieved(result.hits[:depth], result.idf),
                    retrieved(tuple(others[:depth]), result.idf),
                    min((order[one] for one in gold), default=0) % FOLDS,
                )


def retrieved(hits: tuple[Hit, ...], idf: Mapping[str, float]) -> Retrieved:
    """Hits of a search in this process as rag_server sees them."""
    evidence = (bare(n, h.passage.title, h.passage.text, h.normalised_score) for n, h in enumerate(hits, start=1))
    return Retrieved(tuple(evidence), idf, "embedded")


def bare(n: int, title: str, text: str, score: float = 0.0) -> Evidence:
    """Evidence without what the benchmarks do not say."""
    return Evidence(n, title, text, None, None, None, None, None, score)
