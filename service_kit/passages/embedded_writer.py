"""The write side of the embedded engine."""

import json
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import tantivy

from service_kit.errors import IndexingError, IndexLocked
from service_kit.passages.analysis import passage_terms
from service_kit.passages.embedded_files import (
    NEVER,
    VERSION,
    Marker,
    build_schema,
    day_number,
    index_directory,
    passage_keys,
    read_marker,
)
from service_kit.passages.passage import Passage
from service_kit.passages.validity import validity

_HEAP_BYTES = 64_000_000
_BLOCK_BYTES = 4096
"""Passages are packed in blocks of so many bytes, and reading one unpacks its block: a search by words and meaning
reads 200 of them all over the index. tantivy's own 16 KB take half as long again, for 5 % less room."""
_THREADS = 1
"""One, so that documents lie in the index in the order in which they came."""


class EmbeddedWriter:
    """See `PassageWriter`."""

    def __init__(self, data: Path) -> None:
        self._directory = index_directory(data)
        with _failing_as_indexing():
            index, self._marker = _open_usable(self._directory) or _begin_anew(self._directory)
            self._writer = _lock(index)
        self._dirty = False

    @property
    def index_id(self) -> str:
        return self._marker.index_id

    def upsert(self, passages: Iterable[Passage]) -> None:
        for passage in passages:
            passage_id = passage.id
            self.delete([passage_id])
            with _failing_as_indexing():
                self._writer.add_document(_document(passage_id, passage))

    def delete(self, ids: Iterable[str]) -> None:
        for passage_id in ids:
            self._writer.delete_documents_by_term("id", passage_id)
            self._dirty = True

    def clear(self) -> None:
        self._writer.delete_all_documents()
        self._dirty = True

    def begin_commit(self) -> None:
        """Nothing: `commit` is not long."""

    def commit(self) -> None:
        if self._dirty:
            with _failing_as_indexing():
                self._writer.commit()
            self._dirty = False

    def close(self) -> None:
        with _failing_as_indexing():
            if self._dirty:
                self._writer.rollback()
            self._writer.wait_merging_threads()


def _document(passage_id: str, passage: Passage) -> tantivy.Document:
    valid = validity(passage)
    document = tantivy.Document()
    document.add_text("id", passage_id)
    document.add_text("terms", " ".join(passage_terms(passage.title, passage.text)))
    for key in passage_keys(passage):
        document.add_text("keys", key)
    document.add_unsigned("begins", day_number(valid.begins) if valid.begins else 0)
    document.add_unsigned("ends", day_number(valid.ends) if valid.ends else NEVER)
    document.add_bytes("passage", passage.to_json())
    return document


@contextmanager
def _failing_as_indexing() -> Iterator[None]:
    """tantivy raises ValueError for whatever fails, a full disk for one."""
    try:
        yield
    except ValueError as error:
        raise IndexingError(f"写索引失败：{error}", f"Writing the index failed: {error}") from error


def _open_usable(directory: Path) -> tuple[tantivy.Index, Marker] | None:
    """None when there is no index, or one of another version, or a damaged one."""
    marker = read_marker(directory)
    if marker is None or marker.version != VERSION:
        return None
    try:
        index = tantivy.Index.open(str(directory))
    except ValueError:
        return None
    return index, marker


def _lock(index: tantivy.Index) -> tantivy.IndexWriter:
    try:
        return index.writer(_HEAP_BYTES, _THREADS)
    except ValueError as error:
        if "LockBusy" not in str(error):
            raise
        raise IndexLocked("另一个进程正在写这个索引", "Another process is writing this index") from None


def _begin_anew(directory: Path) -> tuple[tantivy.Index, Marker]:
    shutil.rmtree(directory, ignore_errors=True)  # a mount point is emptied but stays
    directory.mkdir(parents=True, exist_ok=True)
    tantivy.Index(build_schema(), path=str(directory))
    _store_in_small_blocks(directory)
    index = tantivy.Index.open(str(directory))
    marker = Marker(VERSION, uuid.uuid4().hex)
    marker.write(directory)
    return index, marker


def _store_in_small_blocks(directory: Path) -> None:
    """tantivy keeps this setting with the index, and its Python package has no word for it."""
    file = directory / "meta.json"
    meta = json.loads(file.read_text())
    meta["index_settings"]["docstore_blocksize"] = _BLOCK_BYTES
    part = directory / "meta.json.part"
    part.write_text(json.dumps(meta))
    part.replace(file)
