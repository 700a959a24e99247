"""Operations on passages as lines of a bulk request."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from service_kit.passages.elastic_mapping import Analysis, document, with_terms
from service_kit.passages.passage import Passage

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Operation(NamedTuple):
    """`body`: the line or lines of one operation in a bulk request, without the last line end."""

    id: str
    body: bytes


def encode(form: Analysis, wanted: Sequence[Passage | str]) -> list[Operation]:
    """The operations that store these passages, and delete what has these ids."""
    return [_deleting(one) if isinstance(one, str) else _storing(form, one) for one in wanted]


def _storing(form: Analysis, passage: Passage) -> Operation:
    stored = document(passage)
    if form == "client":
        stored = with_terms(stored)
    return Operation(passage.id, _dump({"index": {"_id": passage.id}}) + b"\n" + _dump(stored))


def _deleting(passage_id: str) -> Operation:
    return Operation(passage_id, _dump({"delete": {"_id": passage_id}}))


def _dump(value: Any) -> bytes:
    return _ENCODER.encode(value).encode()
