"""Many documents into Elasticsearch: in chunks by bytes, several requests at once, each retried while that may help."""

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

from service_kit.passages.elastic_connection import RETRIED, calling
from service_kit.passages.elastic_encoding import Operation

CHUNK_BYTES = 1_000_000
"""Of one request, about. Larger ones are no faster and fill the server's memory."""
PARALLEL = 3
"""Requests at once: two keep two cores of a server busy, while the third is made."""
ATTEMPTS = 8
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
REQUEST_TIMEOUT_S = 60.0
_ITEM_FACTS = "items.*.status,items.*.error.type,items.*.error.reason"


Prepare = Callable[[Sequence[bytes]], Sequence[Operation]]
"""Makes operations of raw lines; runs in the sending threads."""


def bulk(client: Elasticsearch, index: str, lines: Iterable[bytes], prepare: Prepare) -> dict[str, str]:
    """Send everything; a chunk is made only when a thread is free to send it.

    Returns:
        id -> reason, of what the server refuses for good (such as a value that its mapping does not take).

    Raises:
        DependencyDown: the server fails, also after ATTEMPTS attempts. What was sent before stays.
    """
    patient = client.options(
        request_timeout=REQUEST_TIMEOUT_S, max_retries=0, retry_on_timeout=False, retry_on_status=()
    )
    chunks = _chunks(lines)
    lock = threading.Lock()
    broken = threading.Event()
    refused: dict[str, str] = {}

    def work() -> None:
        while not broken.is_set():
            with lock:
                chunk = next(chunks, None)
            if chunk is None:
                return
            try:
                refused.update(_send(patient, index, prepare(chunk)))
            except BaseException:
                broken.set()
                raise

    with ThreadPoolExecutor(PARALLEL, "bulk") as pool:
        workers = [pool.submit(work) for _ in range(PARALLEL)]
    for worker in workers:
        worker.result()
    return refused


def _send(client: Elasticsearch, index: str, operations: Sequence[Operation]) -> dict[str, str]:
    refused: dict[str, str] = {}
    for attempt in range(ATTEMPTS):
        last = attempt == ATTEMPTS - 1
        with calling(index):
            try:
                bodies: list[Any] = [one.body for one in operations]
                answer = client.bulk(index=index, operations=bodies, filter_path=_ITEM_FACTS)
            except elasticsearch.ApiError as error:
                if last or error.status_code not in RETRIED:
                    raise
            except (elasticsearch.ConnectionError, elasticsearch.ConnectionTimeout):
                if last:
                    raise
            else:
                operations = _to_send_again(operations, answer["items"], refused, last=last)
                if not operations:
                    break
        time.sleep(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt) * random.uniform(0.5, 1))  # noqa: S311
    return refused


def _to_send_again(
    operations: Sequence[Operation], items: Sequence[Mapping[str, Any]], refused: dict[str, str], *, last: bool
) -> list[Operation]:
    """The operations for which the server had no room; those that it refuses go into `refused`."""
    again = []
    for operation, item in zip(operations, items, strict=True):
        (facts,) = item.values()
        fault = facts.get("error")
        if fault and facts["status"] in RETRIED and not last:
            again.append(operation)
        elif fault:
            refused[operation.id] = f"{fault.get('type')}: {fault.get('reason')}"[:500]
    return again


def _chunks(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        if chunk and size + len(line) > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += len(line)
    if chunk:
        yield chunk
