"""Vectors in Elasticsearch, in an index beside those of the words."""

import platform
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import elasticsearch
from elasticsearch.helpers import scan, streaming_bulk

from service_kit.deadline import Deadline
from service_kit.dense import elastic_requests as requests
from service_kit.dense.elastic_lease import Lease
from service_kit.dense.elastic_requests import VECTORS, Facts
from service_kit.dense.embedded_vectors import local_lock
from service_kit.dense.vector_index import Near, full_identity, of_another_length, of_another_model
from service_kit.dense.vectors import Matrix, Vector
from service_kit.errors import DependencyDown
from service_kit.passages.elastic_connection import calling, connect
from service_kit.settings import Settings

_FRESH_S = 5.0
"""For so long it is believed whose the vectors are; who keeps them up to date looks every second."""
_CHUNK_BYTES = 2_000_000
_PAGE = 5000
_IDS = 1000
"""Passages of one request that removes their windows."""
_WAIT_S = 1.0
_PATIENCE_S = 60.0
"""For requests that write or read all."""


class ElasticVectors:
    """See `VectorIndex`. Nothing is asked before the first use."""

    def __init__(self, settings: Settings) -> None:
        self._index = settings.es_index
        self._alias = requests.alias_of(settings.es_index)
        self._data = settings.data
        self._timeout_s = settings.es_timeout_s
        self._client = connect(settings)
        self._patient = self._client.options(request_timeout=_PATIENCE_S)
        self._lease = Lease(self._client, self._alias, f"{platform.node()}:{settings.data.resolve()}")
        self._facts = Facts(None, 0)
        self._read_at = -_FRESH_S

    def check_identity(self, identity: str, dimension: int | None = None) -> None:
        if time.monotonic() - self._read_at > _FRESH_S:
            self.refresh()
        stored, wanted = self._facts.identity, full_identity(identity)
        if stored is not None and stored != wanted:
            raise of_another_model(stored, wanted)
        if dimension is not None and self._facts.dimension not in (0, dimension):
            raise of_another_length(identity, dimension, self._facts.dimension)

    def near(self, question: Vector, count: int, given: Sequence[str], deadline: Deadline) -> Near:
        if not self._facts.dimension:
            return Near({}, {})
        bodies = [requests.nearest(question, count), *([requests.given(question, given)] if given else [])]
        place = {"index": self._alias}
        client = self._client.options(request_timeout=deadline.remaining(self._timeout_s), max_retries=0)
        with calling(self._alias):
            answers = client.msearch(searches=[part for body in bodies for part in (place, body)])["responses"]
        found = [requests.likeness(_hits(answer)) for answer in answers]
        return Near(found[0], found[1] if given else {})

    @contextmanager
    def filling(self, *, wait: bool) -> Iterator[bool]:
        with local_lock(self._data, wait=wait) as alone:
            if not alone or not self._take(wait=wait):
                yield False
                return
            try:
                yield True
            finally:
                with calling(self._alias):
                    self._lease.release()

    def add(self, identity: str, passages: Mapping[str, Matrix]) -> None:
        if not passages:
            return
        with calling(self._alias):
            self._lease.renew()
            self.refresh()
            dimension = next(iter(passages.values())).shape[1]
            self.check_identity(identity, dimension)
            if not self._facts.dimension:
                facts = Facts(full_identity(identity), dimension)
                self._client.indices.put_mapping(index=self._alias, **requests.mapping(facts))
                self._facts = facts
            self._bulk({"_op_type": "index", **one} for one in requests.documents(passages))

    def remove(self, passages: Iterable[str]) -> None:
        ids = list(passages)
        with calling(self._alias):
            for at in range(0, len(ids), _IDS):
                windows = self._windows({"terms": {"passage": ids[at : at + _IDS]}})
                self._bulk({"_op_type": "delete", "_id": one["_id"]} for one in windows)

    def drop(self) -> None:
        with calling(self._alias):
            self._client.indices.delete(index=self._name, ignore_unavailable=True)
        self._facts = Facts(None, 0)

    def settle(self, *, finished: bool) -> None:
        if finished:
            with calling(self._alias):
                self._patient.indices.refresh(index=self._alias, ignore_unavailable=True)

    def refresh(self) -> None:
        with calling(self._alias):
            found = self._client.indices.get_mapping(
                index=self._alias, ignore_unavailable=True, allow_no_indices=True, filter_path="*.mappings._meta"
            )
        self._facts = Facts.of(next(iter(found.body.values()))["mappings"]["_meta"] if found.body else {})
        self._read_at = time.monotonic()

    def passages(self) -> set[str]:
        found: Counter[str] = Counter()
        wanted: dict[str, int] = {}
        with calling(self._alias):
            self._patient.indices.refresh(index=self._alias, ignore_unavailable=True)
            for window in self._windows(VECTORS):
                (passage,), (of,) = window["fields"]["passage"], window["fields"]["of"]
                found[passage] += 1
                wanted[passage] = of
        return {passage for passage, count in found.items() if count == wanted[passage]}

    def count(self) -> tuple[int, int]:
        passages = len(self.passages())
        with calling(self._alias):
            found = self._client.count(index=self._alias, query=VECTORS, ignore_unavailable=True)
        return passages, int(found["count"])

    def close(self) -> None:
        self._client.close()

    @property
    def _name(self) -> str:
        """Of the index itself. Documents are written through the alias only, which no write can bring to life."""
        return f"{self._alias}-{requests.LAYOUT}"

    def _take(self, *, wait: bool) -> bool:
        while True:
            with calling(self._alias):
                self._create()
                if self._lease.take():
                    return True
            if not wait:
                return False
            time.sleep(_WAIT_S)

    def _create(self) -> None:
        if not self._client.indices.exists(index=self._name):
            try:
                self._client.indices.create(index=self._name, **requests.index_body(self._index))
            except elasticsearch.BadRequestError as error:
                if error.error != "resource_already_exists_exception":  # another process was quicker
                    raise

    def _windows(self, query: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        body = {"query": query, "_source": False, "docvalue_fields": ["passage", "of"]}
        return scan(self._patient, index=self._alias, query=body, size=_PAGE, ignore_unavailable=True)

    def _bulk(self, actions: Iterable[dict[str, Any]]) -> None:
        """Raises DependencyDown with what is refused."""
        sent = streaming_bulk(
            self._patient,
            actions,
            index=self._alias,
            require_alias=True,
            max_chunk_bytes=_CHUNK_BYTES,
            max_retries=5,
            initial_backoff=0.2,
            max_backoff=5,
            raise_on_error=False,
        )
        for done, item in sent:
            ((kind, facts),) = item.items()
            if not done and not (kind == "delete" and facts["status"] == 404):
                raise DependencyDown(
                    f"Elasticsearch 不接受向量：{facts.get('error')}",
                    f"Elasticsearch refuses vectors: {facts.get('error')}",
                )


def _hits(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Of one search among several. Raises DependencyDown when that one failed; vectors dropped meanwhile are none."""
    if answer["status"] == 404:
        return []
    if "error" in answer:
        why = str(answer["error"].get("reason"))[:300]
        raise DependencyDown(f"Elasticsearch 搜不了向量：{why}", f"Elasticsearch can not search vectors: {why}")
    hits: list[Mapping[str, Any]] = answer["hits"]["hits"]
    return hits
