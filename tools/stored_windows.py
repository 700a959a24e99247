"""Which windows' vectors are stored, read past the code that searches them: for the tools that count them."""

from collections.abc import Iterator
from contextlib import closing

from elasticsearch.helpers import scan

from service_kit.dense.elastic_requests import VECTORS, alias_of
from service_kit.dense.store import VectorStore
from service_kit.passages.elastic_connection import connect
from service_kit.settings import Settings

_PAGE = 10_000


def stored_windows(settings: Settings) -> Iterator[tuple[str, int]]:
    """Of each stored vector the id of its passage and which window it is (from 0)."""
    return _in_elasticsearch(settings) if settings.search == "elasticsearch" else _in_files(settings)


def _in_files(settings: Settings) -> Iterator[tuple[str, int]]:
    with closing(VectorStore(settings.data)) as store:
        last = 0
        while rows := store.after(last, _PAGE).windows:
            last = rows[-1].key
            yield from ((one.passage, one.n) for one in rows)


def _in_elasticsearch(settings: Settings) -> Iterator[tuple[str, int]]:
    alias = alias_of(settings.es_index)
    with closing(connect(settings)) as client:
        client.indices.refresh(index=alias)
        body = {"query": VECTORS, "_source": False, "docvalue_fields": ["passage", "n"]}
        for hit in scan(client, index=alias, query=body, size=_PAGE):
            (passage,), (n,) = hit["fields"]["passage"], hit["fields"]["n"]
            yield passage, int(n)
