"""A passage: what is indexed, found and quoted."""

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cached_property
from json.encoder import encode_basestring_ascii
from operator import attrgetter
from pathlib import PurePath

_DECODER = json.JSONDecoder()
METADATA = ("doc_no", "issuer", "issued", "effective", "repealed", "status", "path", "source", "page")
"""The keys that a file may give between its title and its text, in the order in which they are shown."""
_IDENTITY = attrgetter("title", "text", *METADATA)


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
        # json.dumps(_IDENTITY(self)), in two thirds of its time
        values = ["null" if value is None else encode_basestring_ascii(value) for value in _IDENTITY(self)]
        return hashlib.sha256(f"[{', '.join(values)}]".encode()).hexdigest()[:32]

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
        # A search reads 200: raw_decode takes half the time of json.loads, and a frozen class sets fields by calls.
        passage = object.__new__(cls)
        passage.__dict__.update(_NOTHING)
        passage.__dict__.update(_DECODER.raw_decode(data.decode())[0])
        return passage


NAMES = tuple(field.name for field in fields(Passage))
_NOTHING = dict.fromkeys(NAMES)
