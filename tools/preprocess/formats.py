"""What a file is, by its content first and its name second, and whether it is safe to open."""

import io
import zipfile
from pathlib import PurePath

from service_kit.words import Words
from tools.preprocess.errors import Damaged, Encrypted, HasMacros, TooLarge, Unsupported

MAX_UNPACKED = 300 * 1024**2
"""Bytes that the members of one office file may have, unpacked."""
MAX_MEMBERS = 20_000

_BY_SUFFIX = {
    ".docx": "docx", ".pdf": "pdf", ".html": "html", ".htm": "html", ".xhtml": "html", ".shtml": "html",
    ".md": "md", ".markdown": "md", ".xlsx": "xlsx", ".csv": "csv", ".tsv": "csv", ".txt": "txt", ".text": "txt",
    ".doc": "doc", ".wps": "wps", ".rtf": "rtf", ".odt": "odt", ".xls": "xls", ".et": "et", ".ods": "ods",
    ".docm": "docx", ".xlsm": "xlsx", ".dotx": "docx",
}  # fmt: skip
OFFICE = {"doc": "docx", "wps": "docx", "rtf": "docx", "odt": "docx", "xls": "xlsx", "et": "xlsx", "ods": "xlsx"}
"""Formats that LibreOffice converts, and into what."""
_TEXT = {"html", "md", "csv", "txt"}
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<body", b"<meta")


def recognise(name: str, data: bytes) -> tuple[str, tuple[Words, ...]]:
    """The format of a file's whole content, one of those in `_BY_SUFFIX`, and a warning when the name says another.

    Raises:
        Unsupported, Damaged, Encrypted, HasMacros, TooLarge
    """
    suffix = PurePath(name).suffix.lower()
    named = _BY_SUFFIX.get(suffix)
    found = _by_content(data, named)
    if found is None and named is None:
        raise Unsupported(f"不支持的格式：{suffix or name}", f"A format that is not read: {suffix or name}")
    if found is None and named not in _TEXT:
        raise Damaged(f"内容不是 {named} 文件（可能已损坏）", f"The content is no {named} file (it may be damaged)")
    actual = found or named or ""
    if named in (None, actual):
        return actual, ()
    return actual, (Words(f"扩展名是 {suffix}，内容是 {actual}", f"Named {suffix}, but the content is {actual}"),)


def _by_content(data: bytes, named: str | None) -> str | None:
    """The format that the first bytes show; None when they show none, as in plain text."""
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if data.startswith(b"PK\x03\x04"):
        return _in_zip(data)
    if data.startswith(_OLE):
        return _in_ole(data, named)
    if data.startswith(b"{\\rtf"):
        return "rtf"
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(_HTML_STARTS) or (start.startswith(b"<?xml") and b"<html" in start):
        return "html"
    return None


def _in_zip(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, EOFError):
        raise Damaged("压缩包已损坏或被截断", "The zip container is damaged or truncated") from None
    # A member is never read beyond the size it declares, so that the sum is a true bound.
    if sum(member.file_size for member in members) > MAX_UNPACKED or len(members) > MAX_MEMBERS:
        limit = MAX_UNPACKED // 1024**2
        raise TooLarge(f"解压后超过 {limit} MB（疑似压缩炸弹）", f"Over {limit} MB unpacked (a zip bomb?)")
    if any(member.flag_bits & 1 for member in members):
        raise Encrypted("文件已加密，需要密码", "The file is encrypted; it needs a password")
    names = {member.filename for member in members}
    if any(name.lower().endswith("vbaproject.bin") for name in names):
        raise HasMacros("文件带宏，未打开；请另存为不带宏的格式", "It carries macros; save it in a format without them")
    for member, format_ in (("word/document.xml", "docx"), ("xl/workbook.xml", "xlsx")):
        if member in names:
            return format_
    if "mimetype" in names and "content.xml" in names:
        return "ods" if b"opendocument.spreadsheet" in data[:200] else "odt"
    raise Unsupported("压缩包里没有 Word 或 Excel 文档", "The zip container holds no Word or Excel document")


def _in_ole(data: bytes, named: str | None) -> str:
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise Encrypted("文件已加密，需要密码", "The file is encrypted; it needs a password")
    if "_VBA_PROJECT".encode("utf-16-le") in data:
        raise HasMacros("文件带宏，未打开；请另存为不带宏的格式", "It carries macros; save it in a format without them")
    if named in OFFICE:
        return named
    return "xls" if "Workbook".encode("utf-16-le") in data or named == "xlsx" else "doc"
