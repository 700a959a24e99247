"""Many documents into Elasticsearch: in chunks by bytes, several requests at once, each retried while that may help."""

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from typing import Any, Generic, TypeVar

import elasticsearch
from elasticsearch import Elasticsearch

from service_kit.errors import DependencyDown
from service_kit.passages.elastic_connection import RETRIED, calling
from service_kit.passages.elastic_encoding import Operation

CHUNK_BYTES = 500_000
"""Of what one request is made of, about. Larger ones are no faster and fill the server's memory."""
PARALLEL = 3
"""Requests at once: two keep two cores of a server busy, while the third is made."""
ATTEMPTS = 8
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
REQUEST_TIMEOUT_S = 60.0
_ITEM_FACTS = "errors,items.*.status,items.*.error.type,items.*.error.reason"

Item = TypeVar("Item")
Await = Callable[[], Sequence[Operation]]
Prepare = Callable[[Sequence[Item]], Await]
"""Makes operations of items. It is called in the thread that adds them: beside a thread that computes, one that reads
files would wait for Python's lock after each call. What it returns is called in a sending thread, and only waits."""


class Bulk(Generic[Item]):
    """Sends to one index what it is given, while the caller goes on making more. For one thread at a time."""

    def __init__(self, client: Elasticsearch, index: str, prepare: Prepare[Item]) -> None:
        self._client = client.options(
            request_timeout=REQUEST_TIMEOUT_S, max_retries=0, retry_on_timeout=False, retry_on_status=()
        )
        self._index = index
        self._prepare = prepare
        self._chunk: list[Item] = []
        self._size = 0
        self._ids: set[str] = set()
        self._sent: deque[Future[dict[str, str]]] = deque()
        self._refused: dict[str, str] = {}
        self._ended = Event()
        self._threads = ThreadPoolExecutor(PARALLEL, "bulk")

    def add(self, passage_id: str, item: Item, size: int) -> None:
        """One operation on this id, of about `size` bytes. Waits while enough is on its way.

        Raises:
            DependencyDown: as `finish`.
        """
        if passage_id in self._ids:  # chunks overtake each other
            self._refused = self.finish()
        self._ids.add(passage_id)
        self._chunk.append(item)
        self._size += size
        if self._size >= CHUNK_BYTES:
            self._send_chunk()

    def finish(self) -> dict[str, str]:
        """Send the rest and wait until the server has everything.

        Returns:
            id -> reason, of what the server refuses for good (such as a value that its mapping does not take).

        Raises:
            DependencyDown: the server fails, also after ATTEMPTS attempts. What was sent before stays.
        """
        if self._chunk:
            self._send_chunk()
        self._await(0)
        self._ids.clear()
        refused, self._refused = self._refused, {}
        return refused

    def send_refresh(self) -> None:
        """Send the rest, and after it a refresh if the server has much to do still; without waiting for either."""
        if self._chunk:
            self._send_chunk()
        if len(self._sent) > PARALLEL:
            self._sent.append(self._threads.submit(self._refresh))

    def close(self) -> None:
        """Drop what is not yet sent, and wait for what is on its way."""
        self._ended.set()
        self._threads.shutdown(cancel_futures=True)

    def _send_chunk(self) -> None:
        self._sent.append(self._threads.submit(self._send, self._prepare(self._chunk)))
        self._chunk, self._size = [], 0
        self._await(PARALLEL + 1)

    def _await(self, most: int) -> None:
        """Until at most so many chunks are on their way."""
        while len(self._sent) > most:
            self._refused.update(self._sent.popleft().result())

    def _refresh(self) -> dict[str, str]:
        with suppress(elasticsearch.ApiError, elasticsearch.TransportError):  # who commits refreshes once more
            self._client.indices.refresh(index=self._index)
        return {}

    def _send(self, prepared: Await) -> dict[str, str]:
        operations = prepared()
        refused: dict[str, str] = {}
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            with calling(self._index):
                try:
                    body: Any = b"\n".join([one.body for one in operations])  # the client would look at each line
                    answer = self._client.bulk(index=self._index, operations=[body], filter_path=_ITEM_FACTS)
                except elasticsearch.ApiError as error:
                    if last or not _may_pass(error.status_code):
                        raise
                except (elasticsearch.ConnectionError, elasticsearch.ConnectionTimeout):
                    if last:
                        raise
                else:
                    if not answer["errors"]:
                        break
                    operations = _to_send_again(operations, answer["items"], refused, last=last)
                    if not operations:
                        break
            pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt) * random.uniform(0.5, 1)  # noqa: S311
            if self._ended.wait(pause):
                break
        return refused


def _to_send_again(
    operations: Sequence[Operation], items: Sequence[Mapping[str, Any]], refused: dict[str, str], *, last: bool
) -> list[Operation]:
    """The operations for which the server had no room; those that it refuses go into `refused`.

    Raises:
        DependencyDown: it has no room after the last attempt either.
    """
    again = []
    for operation, item in zip(operations, items, strict=True):
        (facts,) = item.values()
        fault = facts.get("error")
        if not fault:
            continue
        why = f"{fault.get('type')}: {fault.get('reason')}"[:500]
        if last and facts["status"] in RETRIED:
            raise DependencyDown(
                f"Elasticsearch 一再没有接收段落（{facts['status']}）：{why}",
                f"Elasticsearch takes no passages, time and again ({facts['status']}): {why}",
                retry_after=5,
            )
        if not last and _may_pass(facts["status"]):
            again.append(operation)
        else:
            refused[operation.id] = why
    return again


def _may_pass(status: int) -> bool:
    """Overload, or a fault of the server's own."""
    return status == 429 or status >= 500
