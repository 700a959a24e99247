"""Bytes of a text format -> text, and which encoding it was."""

from service_kit.passages.decoding import decode

_CODECS = ("utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-16", "gb18030", "big5")


def decode_named(data: bytes) -> tuple[str, str]:
    """The text with `\\n` as its only line end, and the name of its encoding.

    Raises:
        UnreadableFile: empty, binary, damaged, or in an encoding that can not be told.
    """
    text = decode(data)
    name = next((codec for codec in _CODECS if _decodes_to(data, codec, text)), "unknown")
    return text.replace("\r\n", "\n").replace("\r", "\n").strip("\ufeff\x1a"), name


def _decodes_to(data: bytes, codec: str, text: str) -> bool:
    try:
        return data.decode(codec) == text
    except UnicodeDecodeError:
        return False
