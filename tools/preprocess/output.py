"""Passages -> text files in the form that es_index reads (service_kit/passages/txt_file.py)."""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from service_kit.passages.passage import METADATA
from tools.preprocess.passages import Piece
from tools.preprocess.pipeline import Document
from tools.preprocess.structure.facts import Facts

PATH_SEPARATOR = " > "
_OWN_NAME = re.compile(r"\d{4,}\.txt")


def render(document: Document, source: str) -> dict[str, bytes]:
    """File name -> content, one for each passage; the names count them: 0001.txt, 0002.txt, …

    The same document gives the same bytes. `source`: the input's path as people read it.
    """
    return {
        f"{n:04}.txt": _file(document.facts, piece, source).encode("utf-8", "replace")
        for n, piece in enumerate(document.pieces, 1)
    }


def _file(facts: Facts, piece: Piece, source: str) -> str:
    pages = f"{piece.first_page}" if piece.first_page == piece.last_page else f"{piece.first_page}-{piece.last_page}"
    values: Mapping[str, str | None] = {
        "doc_no": facts.doc_no,
        "issuer": facts.issuer,
        "issued": facts.issued,
        "effective": facts.effective,
        "repealed": facts.repealed,
        "status": facts.status,
        "path": PATH_SEPARATOR.join(piece.path) or None,
        "source": source,
        "page": pages,
    }
    metadata = [f"{key}: {one_line(value)}" for key in METADATA if (value := values[key])]
    return "\n".join([one_line(facts.title), *metadata, "", piece.text.strip(), ""])


def one_line(text: str) -> str:
    """Without line breaks."""
    return " ".join(text.split())


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make `folder` hold exactly these passages. Files of other names are left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        with suppress(OSError):
            if path.read_bytes() == content:  # untouched, so that nothing downstream sees a change
                continue
        path.write_bytes(content)
    for path in folder.iterdir():
        if path.name not in files and _OWN_NAME.fullmatch(path.name):
            path.unlink()


def remove(folder: Path, root: Path) -> None:
    """Take out a folder's passages, and the folders below `root` that are empty then."""
    if folder.is_dir():
        for path in folder.iterdir():
            if _OWN_NAME.fullmatch(path.name):
                path.unlink()
    while folder != root:
        try:
            folder.rmdir()
        except OSError:  # not empty, or not there
            return
        folder = folder.parent
