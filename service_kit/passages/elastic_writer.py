"""The write side of Elasticsearch."""

import logging
import multiprocessing
import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from service_kit.errors import PassagesRejected, YijuError
from service_kit.passages.elastic_bulk import bulk
from service_kit.passages.elastic_connection import calling, connect
from service_kit.passages.elastic_encoding import Operation, deleting, encode, storing
from service_kit.passages.elastic_indices import Indices
from service_kit.passages.passage import Passage
from service_kit.settings import Settings

logger = logging.getLogger(__name__)

WORKERS_FROM = 1000
"""Passages of one commit from which on worker processes cut words: they take half a second to start."""
_SPOOL_IN_MEMORY = 64_000_000


class ElasticWriter:
    """See `PassageWriter`. Operations wait in a spool (memory, then a temporary file) and are sent by `commit`: before,
    the manifest marks their ids, so that whatever a killed commit leaves half done is known."""

    def __init__(self, settings: Settings) -> None:
        self._form = settings.es_analysis
        self._alias = settings.es_index
        self._client = connect(settings)
        self._indices = Indices(self._client, self._alias, self._form)
        self._spool = _Spool()
        self._workers: ProcessPoolExecutor | None = None
        self._cleared = False
        try:
            self._name, self._index_id, self._eased, self._fresh = self._open()
        except BaseException:
            self._spool.close()
            self._client.close()
            raise

    @property
    def index_id(self) -> str:
        return self._index_id

    def upsert(self, passages: Iterable[Passage]) -> None:
        for passage in passages:
            self._spool.add(passage.id, storing(passage), stores=True)

    def delete(self, ids: Iterable[str]) -> None:
        for passage_id in ids:
            self._spool.add(passage_id, deleting(passage_id), stores=False)

    def clear(self) -> None:
        self._spool.empty()
        self._cleared = not self._fresh

    def commit(self) -> None:
        if not (self._cleared or self._spool):
            return
        old, self._fresh = self._name, False
        name = self._indices.create(self._index_id) if self._cleared else old
        refused = bulk(self._client, name, self._spool.lines(), self._encode)
        with calling(name):
            self._client.indices.refresh(index=name)
        if self._cleared:
            self._indices.swap(name)
            self._indices.delete(old)
            self._name, self._eased, self._cleared = name, True, False
        self._spool.empty()
        if refused:
            raise PassagesRejected(refused)

    def close(self) -> None:
        try:
            if self._eased:
                self._indices.settle(self._name)
        except YijuError:  # the next writer does it
            logger.warning("the index %s could not be settled", self._name, exc_info=True)
        finally:
            self._spool.close()
            if self._workers:
                self._workers.shutdown()
            self._client.close()

    def _open(self) -> tuple[str, str, bool, bool]:
        serving = self._indices.serving()
        if serving and serving.name.startswith(self._indices.prefix) and "index_id" in serving.meta:
            return serving.name, serving.meta["index_id"], serving.eased, False
        index_id = uuid.uuid4().hex
        name = self._indices.create(index_id)
        self._indices.swap(name)
        return name, index_id, True, True

    def _encode(self, lines: Sequence[bytes]) -> Sequence[Operation]:
        """In worker processes where words are cut here, and there are many."""
        if self._form == "ik" or self._spool.stored < WORKERS_FROM:
            return encode(self._form, lines)
        try:
            return self._pool().submit(encode, self._form, lines).result()
        except BrokenProcessPool:  # out of memory, most likely
            logger.warning("a worker process ended; cutting words in this one")
            return encode(self._form, lines)

    def _pool(self) -> ProcessPoolExecutor:
        if self._workers is None:
            self._workers = ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn"))
        return self._workers


class _Spool:
    """Lines by id, in the order in which they came; of several for one id only the last counts."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_SPOOL_IN_MEMORY)  # noqa: SIM115  # closed by `close`
        self._last: dict[str, int] = {}
        self._ids: list[str] = []
        self.stored = 0

    def __bool__(self) -> bool:
        return bool(self._ids)

    def add(self, passage_id: str, line: bytes, *, stores: bool) -> None:
        """JSON holds no line ends."""
        self._last[passage_id] = len(self._ids)
        self._ids.append(passage_id)
        self._file.write(line + b"\n")
        self.stored += stores

    def lines(self) -> Iterator[bytes]:
        self._file.seek(0)
        for number, (passage_id, line) in enumerate(zip(self._ids, self._file, strict=True)):
            if self._last[passage_id] == number:
                yield line

    def empty(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._last.clear()
        self._ids.clear()
        self.stored = 0

    def close(self) -> None:
        self._file.close()
