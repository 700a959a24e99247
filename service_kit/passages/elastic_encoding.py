"""Operations on passages as lines of a bulk request."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from service_kit.passages.elastic_mapping import Analysis, document, with_terms
from service_kit.passages.passage import Passage


class Operation(NamedTuple):
    """`body`: the line or lines of one operation in a bulk request, without the last line end."""

    id: str
    body: bytes


def encode(form: Analysis, wanted: Sequence[Passage | str]) -> list[Operation]:
    """The operations that store these passages, and delete what has these ids."""
    passages = [one for one in wanted if not isinstance(one, str)]
    documents = [document(one) for one in passages]
    stored = map(storing, passages, with_terms(documents) if form == "client" else documents)
    return [_deleting(one) if isinstance(one, str) else next(stored) for one in wanted]


def storing(passage: Passage, stored: Mapping[str, Any]) -> Operation:
    """The operation that puts the document `stored` under the passage's id."""
    # An id is hexadecimal digits.
    return Operation(passage.id, b'{"index":{"_id":"%b"}}\n%b' % (passage.id.encode(), orjson.dumps(stored)))


def _deleting(passage_id: str) -> Operation:
    return Operation(passage_id, orjson.dumps({"delete": {"_id": passage_id}}))
