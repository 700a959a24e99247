"""Operations on passages as lines in a spool, and as lines of a bulk request. Runs in worker processes too."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from service_kit.passages.elastic_mapping import Analysis, document, with_terms
from service_kit.passages.passage import Passage


class Operation(NamedTuple):
    """`body`: the line or lines of one operation in a bulk request, without the last line end."""

    id: str
    body: bytes


def storing(passage: Passage) -> bytes:
    """The line that says: store this passage."""
    return passage.to_json()


def deleting(passage_id: str) -> bytes:
    """The line that says: delete the passage of this id."""
    return json.dumps(passage_id).encode()


def encode(form: Analysis, lines: Sequence[bytes]) -> list[Operation]:
    """The operations of a bulk request."""
    return [_operation(form, json.loads(line)) for line in lines]


def _operation(form: Analysis, wanted: Any) -> Operation:
    if isinstance(wanted, str):
        return Operation(wanted, _dump({"delete": {"_id": wanted}}))
    stored = document(Passage(**wanted))
    if form == "client":
        stored = with_terms(stored)
    return Operation(stored["id"], _dump({"index": {"_id": stored["id"]}}) + b"\n" + _dump(stored))


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
