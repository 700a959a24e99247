"""Operations on passages as lines of a bulk request."""

import json
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring
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
    passages = [one for one in wanted if not isinstance(one, str)]
    documents = [document(one) for one in passages]
    stored = map(_storing, passages, with_terms(documents) if form == "client" else documents)
    return [_deleting(one) if isinstance(one, str) else next(stored) for one in wanted]


def _storing(passage: Passage, stored: Mapping[str, Any]) -> Operation:
    # An id is hexadecimal digits, names of fields are letters.
    pairs = [f'"{name}":{_json(value)}' for name, value in stored.items()]
    return Operation(passage.id, f'{{"index":{{"_id":"{passage.id}"}}}}\n{{{",".join(pairs)}}}'.encode())


def _json(value: object) -> str:
    """An encoder takes longer to begin than for all that documents are made of, strings and tuples of them."""
    if type(value) is str:
        return encode_basestring(value)
    if type(value) is tuple:
        return f"[{','.join(map(encode_basestring, value))}]"
    return _ENCODER.encode(value)


def _deleting(passage_id: str) -> Operation:
    return Operation(passage_id, _ENCODER.encode({"delete": {"_id": passage_id}}).encode())
