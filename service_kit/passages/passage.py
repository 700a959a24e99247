"""A passage: what is indexed, found and quoted."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from json.encoder import encode_basestring_ascii
from operator import attrgetter
from pathlib import PurePath

_DECODER = json.JSONDecoder()
METADATA = ("doc_no", "issuer", "issued", "effective", "repealed", "status", "path", "source", "page")
"""The keys that a file may give between its title and its text, in the order in which they are shown."""
_METADATA = attrgetter(*METADATA)
_NO_METADATA = (None,) * len(METADATA)
_NO_METADATA_IN_ID = ", null" * len(METADATA)


@dataclass(frozen=True)
class Passage:
    """One passage of one document. Metadata is free text (dates too); None means that the file gave none."""

    title: str
    text: str
    doc_no: str | None = None
    issuer: str | None = None
    issued: str | None = None
    effective: str | None = None
    repealed: str | None = None
    status: str | None = None
    path: str | None = None
    source: str | None = None
    page: str | None = None
    file: str | None = None
    """The file it was read from, relative to the indexed directory. No part of the passage's identity: when two files
    hold the same passage, it is stored once."""

    @cached_property
    def id(self) -> str:
        """32 hexadecimal digits, equal for equal title, text and metadata."""
        # json.dumps([self.title, self.text, *metadata]), in a third of its time
        named = _NO_METADATA_IN_ID
        if self.has_metadata:
            named = "".join([f", {_or_null(value)}" for value in _METADATA(self)])
        identity = f"[{encode_basestring_ascii(self.title)}, {encode_basestring_ascii(self.text)}{named}]"
        return hashlib.sha256(identity.encode()).hexdigest()[:32]

    @property
    def has_metadata(self) -> bool:
        return _METADATA(self) != _NO_METADATA

    @property
    def content(self) -> str:
        """What a caller of es_search gets as `docs[i]`: title, newline, text; never the metadata."""
        return f"{self.title}\n{self.text}"

    @property
    def fields(self) -> dict[str, str]:
        """The metadata that there is. A passage that names no source is sourced by its file's name."""
        named = {key: getattr(self, key) for key in METADATA}
        if named["source"] is None and self.file is not None:
            named["source"] = PurePath(self.file).name
        return {key: value for key, value in named.items() if value is not None}

    def to_json(self) -> bytes:
        """All fields as one JSON object, for the index to store; `from_json` reads it back."""
        named = {name: value for name in NAMES if (value := getattr(self, name)) is not None}
        return json.dumps(named, ensure_ascii=False).encode()  # half the room, and less to unpack and read

    @classmethod
    def from_json(cls, data: bytes) -> "Passage":
        # raw_decode takes half the time of json.loads
        return cls.of(_DECODER.raw_decode(data.decode())[0])

    @classmethod
    def of(cls, values: Mapping[str, str | None]) -> "Passage":
        """`Passage(**values)`, in a quarter of its time: a frozen class sets fields by calls. A search reads 200
        passages, an indexer thousands a second."""
        passage = object.__new__(cls)
        passage.__dict__.update(_NOTHING)
        passage.__dict__.update(values)
        return passage


def _or_null(value: str | None) -> str:
    return "null" if value is None else encode_basestring_ascii(value)


NAMES = tuple(field.name for field in fields(Passage))
_NOTHING = dict.fromkeys(NAMES)
