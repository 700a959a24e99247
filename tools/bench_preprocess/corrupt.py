"""Broken files: what a shared drive of twenty years holds, and what an attacker would send."""

import io
import random
import zipfile
from collections.abc import Iterator, Sequence

from msoffcrypto.format import ooxml
from pypdf import PdfReader, PdfWriter

_MEGABYTE = 1024**2


def broken_files(good: Sequence[tuple[str, bytes]], count: int) -> Iterator[tuple[str, bytes]]:
    """`count` files by name, made of `good` ones; the same ones every time."""
    special = list(_special(good))[:count]
    yield from special
    dice = random.Random(7)  # noqa: S311
    endings = [".pdf", ".docx", ".xlsx", ".html", ".md", ".csv", ".txt", ".doc"]
    for n in range(len(special), count):
        name, data = good[n % len(good)]
        kind = ("cut", "flipped", "renamed", "zeroed", "joined")[n % 5]
        if kind == "cut":
            data = data[: dice.randint(1, max(len(data) - 1, 1))]
        elif kind == "flipped":
            data = _flipped(data, dice, dice.choice((1, 20, 500)))
        elif kind == "renamed":
            name = name.rsplit(".", 1)[0] + dice.choice(endings)
        elif kind == "zeroed":
            at = dice.randint(0, len(data))
            data = data[:at] + b"\0" * min(4096, len(data) - at) + data[at + 4096 :]
        else:
            data = data[: len(data) // 2] + dice.choice(good)[1]
        yield f"{n:03}-{kind}-{name}", data


def _flipped(data: bytes, dice: random.Random, bits: int) -> bytes:
    changed = bytearray(data)
    for _ in range(bits):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _special(good: Sequence[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    docx = next(data for name, data in good if name.endswith(".docx"))
    xlsx = next(data for name, data in good if name.endswith(".xlsx"))
    pdf = next(data for name, data in good if name.endswith(".pdf"))
    yield "000-empty.docx", b""
    yield "001-empty.txt", b" \n\n"
    yield "002-bomb.docx", _zip({"word/document.xml": b"<a/>" + b" " * (400 * _MEGABYTE)})
    yield "003-bomb.xlsx", _zip({"xl/workbook.xml": b"<a/>", **{f"xl/{n}": b"0" * (40 * _MEGABYTE) for n in range(10)}})
    yield "004-laughs.docx", _with_part(docx, "word/document.xml", _laughs())
    yield "005-laughs.xlsx", _with_part(xlsx, "xl/workbook.xml", _laughs())
    yield "006-macro.docm", _with_part(docx, "word/vbaProject.bin", b"\xd0\xcf\x11\xe0")
    yield "007-macro.xlsx", _with_part(xlsx, "xl/vbaProject.bin", b"\xd0\xcf\x11\xe0")
    yield "008-encrypted.docx", _encrypted(docx)
    yield "009-encrypted.xlsx", _encrypted(xlsx)
    yield "010-encrypted.pdf", _encrypted_pdf(pdf)
    yield "011-deep.html", b"<html><body>" + b"<div>" * 200_000 + "深".encode() + b"</body></html>"
    yield "012-deep.docx", _with_part(docx, "word/document.xml", _deep())
    yield "013-mojibake.txt", "财政部关于印发办法的通知".encode().decode("gb18030", "replace").encode()
    yield "014-binary.txt", bytes(range(256)) * 50
    yield "015-nopart.docx", _zip({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<x/>"})
    yield "016-jpeg.pdf", b"\xff\xd8\xff\xe0" + b"\0" * 5000
    yield "017-nopages.pdf", _pdf("/Kids[]/Count 0")
    yield "018-loop.pdf", _pdf("/Kids[2 0 R]/Count 9")
    yield "019-lines.csv", b'"' + b"a,b\n" * 100_000
    yield "020-old.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 4096
    yield "021-huge.txt", "同一行字。".encode() * (20 * _MEGABYTE)
    yield "022-picture.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 100
    yield "023-wide.xlsx", _with_part(xlsx, "xl/worksheets/sheet1.xml", _wide())


def _zip(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def _pdf(pages: str) -> bytes:
    objects = f"1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages{pages}>>endobj"
    return f"%PDF-1.7\n{objects}\ntrailer<</Root 1 0 R>>".encode()


def _with_part(data: bytes, name: str, content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    return _zip({**members, name: content})


def _laughs() -> bytes:
    """A billion of them: entities that stand for ten others each."""
    steps = (f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    entities = '<!ENTITY l0 "哈">' + "".join(steps)
    return f'<?xml version="1.0"?><!DOCTYPE a [{entities}]><a>&l9;</a>'.encode()


def _deep() -> bytes:
    w = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    return f'<w:document xmlns:w="{w}"><w:body>{"<w:sdt><w:sdtContent>" * 5000}'.encode()


def _wide() -> bytes:
    """A sheet that claims to reach to its last cell."""
    s = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    cell = '<c r="XFD1048576" t="inlineStr"><is><t>末</t></is></c>'
    return f'<worksheet xmlns="{s}"><sheetData><row r="1048576">{cell}</row></sheetData></worksheet>'.encode()


def _encrypted(data: bytes) -> bytes:
    stream = io.BytesIO()
    ooxml.OOXMLFile(io.BytesIO(data)).encrypt("密码", stream)
    return stream.getvalue()


def _encrypted_pdf(data: bytes) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    writer.encrypt("secret", algorithm="AES-256")
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()
