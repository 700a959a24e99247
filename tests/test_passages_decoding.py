"""Text files in every encoding that users have, and what must be refused."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_kit.errors import UnreadableFile
from service_kit.passages import decoding
from service_kit.passages.decoding import decode

SIMPLIFIED = "政府专项债券管理办法\n专项债券收入应当用于公益性资本支出，不得用于经常性支出。2024年"
TRADITIONAL = "政府專項債券管理辦法\n專項債券收入應當用於公益性資本支出，不得用於經常性支出。"

ENCODED = {
    "utf-8": SIMPLIFIED.encode(),
    "utf-8 with mark": codecs.BOM_UTF8 + SIMPLIFIED.encode(),
    "utf-16-le with mark": codecs.BOM_UTF16_LE + SIMPLIFIED.encode("utf-16-le"),
    "utf-16-be with mark": codecs.BOM_UTF16_BE + SIMPLIFIED.encode("utf-16-be"),
    "utf-16-le": SIMPLIFIED.encode("utf-16-le"),
    "utf-16-be": SIMPLIFIED.encode("utf-16-be"),
    "gb18030": SIMPLIFIED.encode("gb18030"),
    "gbk": SIMPLIFIED.encode("gbk"),
}

REFUSED = {
    "nothing": b"",
    "white space": b" \r\n\t\n",
    "NULs": b"\0" * 64,
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\0\0\0\x01\0\x08\x06\0\0\0\\r\xa8f",
    "zip": b"PK\x03\x04\x14\0\x08\0\x08\0\x9c\x7d\x52\x59\0\0\0\0\0\0\0\0\0\0\0\0\x08",
    "text with NUL": "标题\n正文\0内容".encode(),
    "text with control characters": "标题\n正文\x01\x02内容".encode(),
    "latin-1": "Café déjà vu à la façade\nélève".encode("latin-1"),
    "shift-jis": "地方債についての説明書\nこの文書はテストです".encode("shift-jis"),
    "cut UTF-8": SIMPLIFIED.encode()[:-1],
    "damaged UTF-8": SIMPLIFIED.encode().replace(b"\n", b"\n\xff"),
    "damaged UTF-16": codecs.BOM_UTF16_LE + SIMPLIFIED.encode("utf-16-le")[:-1],
    "replaced characters": ("专项债券" + "\N{REPLACEMENT CHARACTER}" * 4).encode(),
    "UTF-8 read as GBK and saved": "专项债券收入".encode().decode("gb18030").encode(),
    "UTF-8 read as Windows-1252 and saved": "这些".encode().decode("cp1252").encode(),
}


@pytest.mark.parametrize("data", ENCODED.values(), ids=ENCODED.keys())
def test_reads_simplified(data: bytes) -> None:
    assert decode(data) == SIMPLIFIED


@pytest.mark.parametrize("codec", ["utf-8", "gb18030", "big5", "utf-16-le", "utf-16-be"])
def test_reads_traditional(codec: str) -> None:
    assert decode(TRADITIONAL.encode(codec)) == TRADITIONAL


@pytest.mark.parametrize("text", ["专项债务", "一般债务\n", "什么是专项债券？"])
@pytest.mark.parametrize("codec", ["utf-8", "gb18030", "utf-16-le"])
def test_reads_short_texts(text: str, codec: str) -> None:
    assert decode(text.encode(codec)) == text


@pytest.mark.parametrize(
    "text", ["Plain English.\nText", "Café déjà vu", "地方債についての説明", "Привет, мир", "ab㎡🙂", "目\n目"]
)
def test_believes_utf8_in_any_language(text: str) -> None:
    assert decode(text.encode()) == text


def test_reads_unmarked_utf16_english() -> None:
    assert decode("Plain English.".encode("utf-16-le")) == "Plain English."


def test_one_lost_character_in_a_long_text_is_let_through() -> None:
    text = SIMPLIFIED * 20 + "\N{REPLACEMENT CHARACTER}"
    assert decode(text.encode()) == text


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_refuses(data: bytes) -> None:
    with pytest.raises(UnreadableFile) as caught:
        decode(data)
    assert caught.value.words.zh
    assert caught.value.words.en


@given(st.text(st.sampled_from("中国专项债a \n，") | st.characters(codec="utf-8"), max_size=12))
def test_what_is_told_at_a_glance_is_so(text: str) -> None:
    if decoding._NOT_MISREAD.search(text):
        for codec in ("gb18030", "cp1252"):
            with pytest.raises(UnicodeError):
                text.encode(codec).decode("utf-8")


@given(st.text(st.sampled_from("中国专项债务管理办法a 2"), min_size=2, max_size=12))
def test_nothing_misread_passes_the_glance(text: str) -> None:
    for codec in ("gb18030", "cp1252"):
        try:
            misread = text.encode().decode(codec)
        except UnicodeError:
            continue
        assert not decoding._NOT_MISREAD.search(misread)
