"""Bytes of a text file -> text. Never lets mojibake through: what can not be told for sure is refused.

UTF-8 and whatever bears a byte order mark is believed, if it decodes. Without a mark, UTF-16, GB18030 (GBK, GB2312)
and Big5 are told apart by the share of their non-ASCII characters that Chinese text is made of: near 1 when decoded
rightly, under a half when not.
"""

import codecs
import re
from collections.abc import Iterator

from service_kit.errors import UnreadableFile

PLAUSIBLE = 0.8
"""Least share of usual characters in text whose encoding is guessed."""
CLEAR_LEAD = 0.15
"""By how much the best guess must beat the next one."""
MAX_REPLACED = 0.01
"""Share of U+FFFD, which stands for what an earlier conversion lost, that a text may hold."""

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_GUESSED = ("utf-16-le", "utf-16-be", "gb18030", "big5")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f\x7f-\x84\x86-\x9f]")
"""What no text holds. Allowed are white space and Ctrl-Z, with which DOS ended files."""
_SAMPLE = 50_000
"""Characters that are looked at to judge a guess."""
_MISREAD_AS = ("gb18030", "cp1252")
"""What UTF-8 is taken for by mistake."""
_REPLACED = "\N{REPLACEMENT CHARACTER}"


def decode(data: bytes) -> str:
    """The text of a whole file, without byte order mark.

    Raises:
        UnreadableFile: empty, binary, damaged, or in an encoding that can not be told.
    """
    if not data.strip(b"\0 \t\r\n\x1a"):
        raise UnreadableFile("文件为空", "The file is empty")
    text = _decode_marked(data) or _decode_utf8(data) or _guess(data)
    _refuse_damage(text)
    return text


def _decode_marked(data: bytes) -> str | None:
    for mark, codec in _MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(codec)
            except UnicodeDecodeError as error:
                raise UnreadableFile(
                    f"文件有 {codec} 标记，但第 {error.start} 字节处不合该编码",
                    f"The file is marked as {codec} but is not valid at byte {error.start}",
                ) from None
    return None


def _decode_utf8(data: bytes) -> str | None:
    if b"\0" in data:  # valid UTF-8, but text holds none: UTF-16 or binary
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _guess(data: bytes) -> str:
    if _is_mostly_utf8(data):
        raise UnreadableFile("UTF-8 文字有损坏的字节", "UTF-8 text with damaged bytes in it")
    (share, text), (next_share, _), *_ = sorted(_candidates(data), reverse=True)
    if share >= PLAUSIBLE and share - next_share >= CLEAR_LEAD:
        return text
    if b"\0" in data:
        raise UnreadableFile("不是文本文件（二进制内容）", "Not a text file (binary content)")
    raise UnreadableFile(
        "无法判定文字编码，请另存为 UTF-8（文件可能已损坏或不是文本）",
        "Can not tell the text encoding; save the file as UTF-8 (it may be damaged, or no text)",
    )


def _is_mostly_utf8(data: bytes) -> bool:
    """Whether UTF-8 explains nearly all bytes beyond ASCII; by chance it explains few."""
    beyond_ascii = sum(byte > 0x7F for byte in data)
    explained = sum(byte > 0x7F for byte in data.decode("utf-8", "ignore").encode())
    return explained > 0.8 * beyond_ascii


def _candidates(data: bytes) -> Iterator[tuple[float, str]]:
    yield from ((0.0, ""), (0.0, ""))  # nothing at all, so that there are always two to compare
    for codec in _GUESSED:
        try:
            text = data.decode(codec)
        except UnicodeDecodeError:
            continue
        yield plausibility(text), text


def plausibility(text: str) -> float:
    """Share (0..1) of the non-ASCII characters that are usual in Chinese text; 0 with a control character in it."""
    if _CONTROL.search(text):
        return 0.0
    beyond_ascii = [char for char in text[:_SAMPLE] if char > "\x7f"]
    return sum(map(_USUAL.__contains__, beyond_ascii)) / len(beyond_ascii) if beyond_ascii else 1.0


def _refuse_damage(text: str) -> None:
    # The first test passes nearly all text in a quarter of the time.
    if not text.replace("\n", "").isprintable() and _CONTROL.search(text):
        raise UnreadableFile("不是文本文件（含控制字符）", "Not a text file (control characters in it)")
    if text.count(_REPLACED) > MAX_REPLACED * len(text):
        raise UnreadableFile(
            "文字在先前的转码中已丢失（含大量 U+FFFD）", "An earlier conversion lost the text (many U+FFFD)"
        )
    if _is_encoded_twice(text):
        raise UnreadableFile(
            "文字是乱码：UTF-8 曾被当作另一种编码再次保存",
            "The text is mojibake: UTF-8 was read as another encoding and saved again",
        )


def _is_encoded_twice(text: str) -> bool:
    """Whether `text` is what Chinese in UTF-8 looks like when read as GBK or Windows-1252."""
    if _NOT_MISREAD.search(text):
        return False
    for codec in _MISREAD_AS:
        try:
            original = text.encode(codec).decode("utf-8")
        except UnicodeError:
            continue
        if original != text and plausibility(original) >= PLAUSIBLE:
            return True
    return False


def _usual_characters() -> frozenset[str]:
    """The frequent halves of GB 2312 (simplified) and Big5 (traditional), and the punctuation of both."""
    simplified = (bytes((row, cell)) for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF))
    trails = (*range(0x40, 0x7F), *range(0xA1, 0xFF))
    traditional = (bytes((row, cell)) for row in range(0xA4, 0xC7) for cell in trails)
    characters = {pair.decode("gb2312", "ignore") for pair in simplified}
    characters |= {pair.decode("big5", "ignore") for pair in traditional}
    characters.update(map(chr, range(0x3000, 0x3020)), map(chr, range(0xFF01, 0xFF5F)), "“”‘’—…·、。○×℃％‰①②③④⑤⑥⑦⑧⑨⑩")
    characters.discard("")
    return frozenset(characters)


_USUAL = _usual_characters()


def _not_misread() -> re.Pattern[str]:
    """Finds what shows that text is no UTF-8 read as one of `_MISREAD_AS`: first of all, or after ASCII, a character
    the code of which in neither of them begins as one of UTF-8 does. In nearly all text the first one is such."""
    pairs = [bytes((lead, next_)) for lead in range(0xC2, 0xF5) for next_ in range(0x80, 0xC0)]
    begins = {pair.decode(codec, "ignore")[:1] for pair in pairs for codec in _MISREAD_AS}
    return re.compile(f"(?:\\A|[\\x00-\\x7f])[^\\x00-\\x7f{''.join(sorted(begins))}]")


_NOT_MISREAD = _not_misread()
