"""The parts of a search beyond words, as the settings ask for them."""

import logging
from typing import TYPE_CHECKING, Any

from es_search.rerank import choose_reranker
from es_search.searcher import Searcher
from service_kit.dense.choose import choose_embedder
from service_kit.errors import DependencyDown, YijuError
from service_kit.passages import PassageReader
from service_kit.settings import Settings

if TYPE_CHECKING:
    from service_kit.dense.index import DenseIndex, Keeper

logger = logging.getLogger(__name__)


class Meaning:
    """The vectors of one service and the thread that keeps them; nothing at all with YIJU_EMBEDDER=none.

    An embedder that can not be loaded is told of in `/readyz`; searches go on by words.
    """

    def __init__(self, settings: Settings, reader: PassageReader) -> None:
        self.index: DenseIndex | None = None
        self._keeper: Keeper | None = None
        self._fault: YijuError | None = None
        self._name = settings.embedder_name
        try:
            embedder = choose_embedder(settings)
        except DependencyDown as error:
            logger.warning("no vectors: %s", error)
            self._fault = error
            return
        if embedder is not None:
            from service_kit.dense import engines, index  # noqa: PLC0415  # numpy and usearch

            self.index = index.DenseIndex(engines.open_vectors(settings), embedder)
            self._keeper = index.Keeper(self.index, reader)

    @property
    def wanted(self) -> bool:
        """Whether an embedder is set."""
        return self._name != "none"

    @property
    def fault(self) -> YijuError | None:
        """Why there are no vectors although an embedder is set."""
        return self._fault

    def progress(self) -> tuple[int, int]:
        """Passages that have their vectors, and all."""
        return (self._keeper.done, self._keeper.total) if self._keeper else (0, 0)

    def check(self) -> dict[str, Any]:
        """Facts for `/readyz`. Raises what keeps vectors from being made or used."""
        problem = self._fault or (self._keeper.problem if self._keeper else None)
        if problem:
            raise problem
        done, total = self.progress()
        waits = {"made_elsewhere": True} if self._keeper and self._keeper.elsewhere else {}
        return {"embedder": self._name, "passages": total, "with_vectors": done, **waits}

    def close(self) -> None:
        if self._keeper:
            self._keeper.close()
        if self.index:
            self.index.close()


def make_searcher(settings: Settings, reader: PassageReader, meaning: Meaning) -> Searcher:
    """The searcher that the settings ask for. Raises SettingsError when a reranker is asked for without its model."""
    return Searcher(settings, reader, meaning.index, choose_reranker(settings), meaning.fault)
