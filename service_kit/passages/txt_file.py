"""One text file -> one passage.

    财政部关于做好地方政府专项债券发行工作的意见      line 1: the title
    doc_no: 财库〔2018〕72号                            optional: metadata, one `key: value` a line,
    issued: 2018-08-14                                  ended by an empty line

    为加快地方政府专项债券发行和使用进度……          the passage, to the end of the file

Metadata is what is written exactly so: every line right under the title has a known key, and an empty line follows.
Anything else is passage, so a plain file (title, passage) stays valid when it holds a colon.
A file of one line has no title of its own: the line is the passage, and its first words are the title.
"""

import re

from service_kit.errors import UnreadableFile
from service_kit.passages.decoding import decode
from service_kit.passages.passage import METADATA, Passage

MAX_BYTES = 10 * 1024 * 1024
"""Larger files are no passages."""
MAX_TITLE_FROM_TEXT = 40
"""Characters of a title that is taken from the passage."""

_PAIR = re.compile(rf"\s*({'|'.join(METADATA)})\s*[:：](.*)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[。！？；!?;]")


def parse(data: bytes, file: str | None = None) -> Passage:
    """The passage in `data`, the whole content of the file that is called `file`.

    Raises:
        UnreadableFile: too large, empty, no text, or in an encoding that can not be told.
    """
    if len(data) > MAX_BYTES:
        raise too_large()
    text = decode(data).strip("\ufeff\x1a\r\n\t \u3000")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    title, _, below = text.partition("\n")
    metadata, body = _split_metadata(below)
    title, passage = title.strip(), body.strip()
    if not title:
        raise UnreadableFile("文件为空", "The file is empty")
    if not passage:
        passage, title = title, _SENTENCE_END.split(title)[0][:MAX_TITLE_FROM_TEXT] or title
    return Passage.of({"title": title, "text": passage, **metadata, "file": file})


def too_large() -> UnreadableFile:
    limit = MAX_BYTES // 1024**2
    return UnreadableFile(
        f"文件超过 {limit} MB，请拆成多个段落文件", f"The file is over {limit} MB; split it into passages"
    )


def _split_metadata(below: str) -> tuple[dict[str, str], str]:
    """The metadata and the passage, of what stands below the title."""
    metadata: dict[str, str] = {}
    if not _PAIR.match(below):
        return metadata, below
    lines = below.split("\n")
    for number, line in enumerate(lines):
        if not line.strip():
            return {key: value for key, value in metadata.items() if value}, "\n".join(lines[number:])
        pair = _PAIR.fullmatch(line)
        if not pair:
            break
        metadata[pair[1].lower()] = pair[2].strip()
    return {}, below
