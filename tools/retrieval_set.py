"""A set of passages and questions, indexed in a temporary directory and searched by the services' own parts."""

import json
import lzma
import tempfile
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from es_search.hybrid import DEPTH
from es_search.rerank import choose_reranker
from es_search.searcher import Searcher
from service_kit.dense.choose import choose_embedder
from service_kit.dense.engines import open_vectors
from service_kit.passages import Passage, PassageReader, open_reader, open_writer
from service_kit.passages.elastic_connection import connect
from service_kit.passages.elastic_indices import Indices
from service_kit.settings import Settings

if TYPE_CHECKING:
    from service_kit.dense.index import DenseIndex

NOT_FOUND = DEPTH + 1
"""The rank of a gold passage that is not among the first DEPTH."""


@dataclass(frozen=True)
class RetrievalSet:
    """`names`: by passage id, the set's own ids (equal passages are stored once). `dense` None: words only."""

    queries: Sequence[Mapping[str, Any]]
    names: Mapping[str, set[str]]
    reader: PassageReader
    searcher: Searcher
    dense: "DenseIndex | None"

    def rank(self, query: Mapping[str, Any], ids: Sequence[str]) -> int:
        """Rank, from 1, of the query's first gold passage among `ids`."""
        gold = set(query["gold"])
        return next((rank for rank, one in enumerate(ids, 1) if self.names[one] & gold), NOT_FOUND)


@contextmanager
def opened_set(
    settings: Settings, passages: Path, queries: Path, *, cache: Path | None = None, near_words: bool = False
) -> Iterator[RetrievalSet]:
    """Index `passages` with what the settings ask for (their `data` is not used).

    Args:
        cache: keeps vectors between runs.
        near_words: vectors only for passages that are among the DEPTH best by words of any of the queries; the others
            are found by words alone.
    """
    with temporary_index(settings) as own:
        names = index(own, passages)
        asked = list(read_lines(queries))
        with closing(open_reader(own)) as reader:
            source = _Near(reader, asked) if near_words else reader
            dense = _vectors(own, source, cache)
            searcher = Searcher(own, reader, dense, choose_reranker(own))
            try:
                yield RetrievalSet(asked, names, reader, searcher, dense)
            finally:
                if dense:
                    dense.close()


@contextmanager
def temporary_index(settings: Settings) -> Iterator[Settings]:
    """These settings with an index of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory() as directory:
        update = {"data": Path(directory), "es_index": f"yiju-tool-{uuid.uuid4().hex[:12]}"}
        temporary = settings.model_copy(update=update)
        try:
            yield temporary
        finally:
            if temporary.search == "elasticsearch":
                with closing(connect(temporary)) as client:
                    indices = Indices(client, temporary.es_index, temporary.es_analysis)
                    for one in indices.all():
                        indices.delete(one.name)
                if find_spec("numpy"):  # without it nobody made vectors
                    with closing(open_vectors(temporary)) as vectors:
                        vectors.drop()


def index(settings: Settings, path: Path) -> Mapping[str, set[str]]:
    """Index all passages. Returns, by passage id, the set's own ids."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    with closing(open_writer(settings)) as writer:
        for line in tqdm(read_lines(path), desc="index", disable=None):
            passage = Passage(line["title"], line["text"])
            names[passage.id].add(line["id"])
            writer.upsert([passage])
        writer.commit()
    return names


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file, compressed when its name ends in `.xz`."""
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _vectors(settings: Settings, source: "PassageReader | _Near", cache: Path | None) -> "DenseIndex | None":
    embedder = choose_embedder(settings)
    if embedder is None:
        return None
    from service_kit.dense.filling import fill  # noqa: PLC0415
    from service_kit.dense.index import DenseIndex  # noqa: PLC0415
    from tools.vector_cache import CachedEmbedder  # noqa: PLC0415

    dense = DenseIndex(open_vectors(settings), CachedEmbedder(embedder, cache) if cache else embedder)
    with dense.vectors.filling(wait=True), tqdm(desc="vectors", unit="passage", mininterval=1.0, disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        fill(source, dense.embedder, dense.vectors, progress=show)
    return dense


class _Near:
    """The part of an index that is near to some questions by their words."""

    def __init__(self, reader: PassageReader, queries: Sequence[Mapping[str, Any]]) -> None:
        self._reader = reader
        self._ids = {hit.id for query in queries for hit in reader.search(query["query"], DEPTH).hits}

    def ids(self) -> set[str]:
        return self._ids

    def fetch(self, ids: Sequence[str]) -> list[Passage]:
        return self._reader.fetch(ids)
