"""The write side of Elasticsearch."""

import logging
import multiprocessing
import os
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from service_kit.errors import PassagesRejected, YijuError
from service_kit.passages.elastic_bulk import Await, Bulk
from service_kit.passages.elastic_connection import calling, connect
from service_kit.passages.elastic_encoding import Operation, encode
from service_kit.passages.elastic_indices import Indices
from service_kit.passages.elastic_mapping import Analysis
from service_kit.passages.passage import Passage
from service_kit.settings import Settings

logger = logging.getLogger(__name__)

WORKERS_FROM = 1000
"""Passages from which on worker processes cut words, beside this one: they take half a second to start."""
_ID_BYTES = 50
"""Of the line that deletes an id."""
_BESIDE_TEXT_BYTES = 300
"""Of a stored passage: its names, keys and metadata, about."""


class ElasticWriter:
    """See `PassageWriter`. What it is given is on its way at once, many passages a request; the server shows nothing of
    it before `commit`. What a run has sent that is killed, or closed before its commit, stays on the server."""

    def __init__(self, settings: Settings) -> None:
        self._form = settings.es_analysis
        self._alias = settings.es_index
        self._client = connect(settings)
        self._indices = Indices(self._client, self._alias, self._form)
        self._dirty = False
        self._replaced: str | None = None
        self._workers = _Workers()
        self._upserts = 0
        try:
            self._name, self._index_id, self._eased, self._fresh = self._open()
        except BaseException:
            self._client.close()
            raise
        self._bulk = self._open_bulk()

    @property
    def index_id(self) -> str:
        return self._index_id

    def upsert(self, passages: Iterable[Passage]) -> None:
        for passage in passages:
            self._dirty = True
            self._upserts += 1
            if self._upserts == WORKERS_FROM and self._form == "client":
                self._workers.start()
            self._bulk.add(passage.id, passage, 3 * len(passage.text) + _BESIDE_TEXT_BYTES)

    def delete(self, ids: Iterable[str]) -> None:
        for passage_id in ids:
            self._dirty = True
            self._bulk.add(passage_id, passage_id, _ID_BYTES)

    def clear(self) -> None:
        """What follows goes into a new index, which `commit` puts in the place of this one."""
        if self._fresh and not self._dirty:
            return
        self._bulk.close()
        self._drop_replacement()
        self._replaced = self._name
        self._name = self._indices.create(self._index_id, replaces=True)
        self._bulk = self._open_bulk()
        self._dirty = True

    def begin_commit(self) -> None:
        """Let the server refresh while it still indexes: its indexing threads share that work, while a refresh that
        comes after them has one thread."""
        if self._dirty:
            self._bulk.send_refresh()

    def commit(self) -> None:
        if not self._dirty:
            return
        self._fresh = False
        refused = self._bulk.finish()
        self._refresh()
        if self._replaced:
            self._indices.swap(self._name)
            self._indices.delete(self._replaced)
            self._replaced, self._eased = None, True
        self._dirty = False
        if refused:
            raise PassagesRejected(refused)

    def close(self) -> None:
        try:
            self._bulk.close()
            self._drop_replacement()
            if self._eased:
                self._indices.settle(self._name)
        except YijuError:  # the next writer does it
            logger.warning("the index %s could not be settled", self._name, exc_info=True)
        finally:
            self._workers.close()
            self._client.close()

    def _refresh(self) -> None:
        with calling(self._name):
            self._client.indices.refresh(index=self._name)

    def _open(self) -> tuple[str, str, bool, bool]:
        serving = self._indices.serving()
        if serving and self._indices.is_usable(serving):
            return serving.name, serving.meta["index_id"], serving.eased, False
        index_id = uuid.uuid4().hex
        name = self._indices.create(index_id)
        self._indices.swap(name)
        return name, index_id, True, True

    def _open_bulk(self) -> Bulk[Passage | str]:
        return Bulk(self._client, self._name, self._encode)

    def _encode(self, wanted: Sequence[Passage | str]) -> Await:
        return self._workers.encode(self._form, wanted)

    def _drop_replacement(self) -> None:
        """Of a `clear` that was not committed."""
        if self._replaced:
            self._indices.delete(self._name)
            self._name, self._replaced = self._replaced, None


class ElasticRebuild(ElasticWriter):
    """See `RebuildWriter`."""

    def publish(self) -> None:
        self._indices.settle(self._name)
        self._eased = False
        self._indices.swap(self._name)

    def discard(self) -> None:
        self._bulk.close()  # what came after the deletion would make an index of that name again
        self._eased = False
        self._indices.delete(self._name)

    def _open(self) -> tuple[str, str, bool, bool]:
        for left in self._indices.unfinished():
            self._indices.delete(left.name)
        index_id = uuid.uuid4().hex
        return self._indices.create(index_id), index_id, True, True


class _Workers:
    """Processes that make operations, where there are cores for them: cutting words holds Python's lock."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._ready: Future[int] | None = None

    def start(self) -> None:
        """One core stays for reading and sending. Returns at once.

        On two cores there are none: what a worker takes to start and to be sent to is more than it saves beside a
        server that works on the same two.
        """
        number = (os.cpu_count() or 1) - 1
        if number < 2:
            return
        self._pool = ProcessPoolExecutor(number, multiprocessing.get_context("spawn"))
        self._ready = self._pool.submit(os.getpid)

    def encode(self, form: Analysis, wanted: Sequence[Passage | str]) -> Await:
        """As `encode`; in this process as long as no worker is ready."""
        if self._pool is None or self._ready is None or not self._ready.done():
            operations = encode(form, wanted)
            return lambda: operations
        try:
            made = self._pool.submit(encode, form, wanted)
        except BrokenProcessPool:
            self._ready = None
            return self.encode(form, wanted)

        def result() -> Sequence[Operation]:
            try:
                return made.result()
            except BrokenProcessPool:  # out of memory, most likely
                logger.warning("a worker process ended; cutting words in this one")
                return encode(form, wanted)

        return result

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
