"""Who may write the vectors in Elasticsearch: a document that its holder keeps writing anew.

No clocks are compared: who waits takes over what it has not seen change for LEASE_S. The holder is a data folder, so
that a process that was killed and started again goes on at once.
"""

import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import elasticsearch
from elasticsearch import Elasticsearch

from service_kit.errors import IndexLocked

LEASE_S = 120.0
"""Longer than the pause between two batches of windows, by far."""
_ID = "lease"


class _Place(NamedTuple):
    """Of a document's last change; who writes by it writes nothing when there was another one."""

    if_seq_no: int
    if_primary_term: int


def _place(answer: Mapping[str, Any]) -> _Place:
    return _Place(answer["_seq_no"], answer["_primary_term"])


class Lease:
    """For one thread at a time. Every method may raise what Elasticsearch's client raises."""

    def __init__(self, client: Elasticsearch, alias: str, holder: str) -> None:
        self._client = client
        self._alias = alias
        self._holder = holder
        self._mine: _Place | None = None
        """Place of the lease's last change, while it is held."""
        self._others: tuple[_Place, float] | None = None
        """The same of somebody else's, and when it was first seen."""

    def take(self) -> bool:
        """Whether it is held now. The index must exist."""
        try:
            known = self._client.get(index=self._alias, id=_ID)
        except elasticsearch.NotFoundError:
            return self._write()
        place = _place(known.body)
        if known["_source"]["lease"]["holder"] != self._holder:
            if self._others is None or self._others[0] != place:
                self._others = place, time.monotonic()
            if time.monotonic() - self._others[1] < LEASE_S:
                return False
        return self._write(place)

    def renew(self) -> None:
        """Raises IndexLocked when somebody else has taken it over, or the vectors were dropped."""
        if self._mine is None or not self._write(self._mine):
            self._mine = None
            raise IndexLocked(
                "另一个进程接管了向量的生成", "Another process has taken over the making of vectors", retry_after=5
            )

    def release(self) -> None:
        if self._mine is not None:
            with suppress(elasticsearch.ConflictError, elasticsearch.NotFoundError):  # taken over; all dropped
                self._client.delete(index=self._alias, id=_ID, **self._mine._asdict())
            self._mine = None

    def _write(self, over: "_Place | None" = None) -> bool:
        """In this place, or where there is none yet."""
        conditions: dict[str, Any] = over._asdict() if over else {"op_type": "create"}
        held = {"holder": self._holder, "beat": uuid.uuid4().hex}
        try:
            # An index that was dropped meanwhile must not come to life by this.
            done = self._client.index(
                index=self._alias, id=_ID, document={"lease": held}, require_alias=True, **conditions
            )
        except (elasticsearch.ConflictError, elasticsearch.NotFoundError):
            return False
        self._mine = _place(done.body)
        self._others = None
        return True
