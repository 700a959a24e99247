"""What the embedded index is on disk: a tantivy index in `<data>/index`, and a marker file in it."""

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import tantivy

from service_kit.passages import analysis
from service_kit.passages.passage import Passage
from service_kit.passages.references import article_keys, doc_no_keys, issuer_keys
from service_kit.passages.validity import validity

SCHEMA_VERSION = 2
VERSION = f"{SCHEMA_VERSION}.{analysis.VERSION}"
"""An index of another version holds other fields or other terms; it is not searched but built anew."""

K1 = 1.2
"""tantivy's BM25 parameter (b is 0.75); its scores carry the factor k1 + 1."""


@dataclass(frozen=True)
class Marker:
    """Written last when an index is made, so that a half-made one is not taken for one."""

    version: str
    index_id: str

    def write(self, directory: Path) -> None:
        part = directory / "yiju.json.part"
        part.write_text(json.dumps(asdict(self)))
        part.replace(directory / "yiju.json")


def read_marker(directory: Path) -> Marker | None:
    """None when there is no marker, or none that can be read."""
    try:
        return Marker(**json.loads((directory / "yiju.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def index_directory(data: Path) -> Path:
    return data / "index"


def build_schema() -> tantivy.Schema:
    """`id` to delete by; `terms` to search (no positions: no phrase is ever asked); `keys` to look up and filter by,
    see `passage_keys`; `begins` and `ends` of validity, as `day_number`s; `passage` to show, as JSON."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("terms", tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("keys", tokenizer_name="raw", index_option="basic")
    builder.add_unsigned_field("begins", fast=True)
    builder.add_unsigned_field("ends", fast=True)
    builder.add_bytes_field("passage", stored=True)
    return builder.build()


NEVER = 99_999_999
"""The `ends` of what has none; the `begins` of what has none is 0."""
REPEALED = "repealed"
"""Key of passages that are repealed or will be."""
UNDATED = "repealed undated"
"""Key of those whose repeal has no date."""


def passage_keys(passage: Passage) -> list[str]:
    """文号, articles and issuers, each kind with its own prefix, and whether there is a repeal."""
    valid = validity(passage)
    keys = [f"no:{key}" for key in doc_no_keys(passage.doc_no)]
    keys += [f"article:{key}" for key in article_keys(passage)]
    keys += [f"issuer:{key}" for key in issuer_keys(passage.issuer)]
    return keys + [REPEALED] * (valid.ended or valid.ends is not None) + [UNDATED] * valid.ended


def day_number(day: date) -> int:
    """2016-11-09 -> 20161109"""
    return day.year * 10_000 + day.month * 100 + day.day


def commit_stamp(directory: Path) -> tuple[int, int, int]:
    """Another value after every commit. Raises OSError when there is no index."""
    facts = (directory / "meta.json").stat()
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


def documents_ever(directory: Path) -> int:
    """N of BM25: documents in all segments, the deleted ones that are not yet merged away among them."""
    segments = json.loads((directory / "meta.json").read_text())["segments"]
    return sum(segment["max_doc"] for segment in segments)
