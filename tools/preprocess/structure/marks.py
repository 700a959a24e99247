"""The marks that Chinese documents number their parts with: 第一章, 第五条, 一、, （一）, 1., 1.1, 附件2, 表3."""

import re
from dataclasses import dataclass

from service_kit.numerals import NUMERAL, to_int
from tools.preprocess.structure.script import plain
from tools.preprocess.structure.text import ends_sentence

ARTICLE = "条"
ATTACHMENT = "附件"
_RANKS = {
    ATTACHMENT: 0, "编": 11, "分编": 12, "篇": 11, "部分": 11, "章": 13, "节": 14, "目": 15, ARTICLE: 20,
    "一、": 31, "（一）": 32, "1.": 33, "（1）": 34, "①": 35,
}  # fmt: skip
"""The higher, the deeper. 1 to 9 are the headings that only a style marks."""
HIGHEST_DIVISION = 1
"""Rank from which everything is below an attachment."""
_DECIMAL_RANK = 31
_LONGEST_HEADING = 45
"""Characters of a heading line; longer ones are text."""

_DIVISION = re.compile(
    rf"第\s*([{NUMERAL}\d０-９]+)\s*(分编|编|篇|部分|章|节)(?=[\s\u3000]|$|[^\s的规至和、，。])[\s\u3000]*(.*)"
)
_ARTICLE = re.compile(rf"第\s*([{NUMERAL}\d０-９]+)\s*条((?:之[一二三四五六七八九十]+)?)([\s\u3000]*)(.*)", re.DOTALL)
_REFERS_ON = re.compile(
    rf"[、和及至到或，,。；）)]|第[{NUMERAL}\d]+[款项条]|规定|所称|所列|所指|中的|的|已|修改|之规定|以下|以上|以外|有关"
)
_LISTS = (
    ("一、", re.compile(r"([一二三四五六七八九十]{1,4})\s*(?:、|[．.](?!\d))\s*(.*)", re.DOTALL)),
    ("（一）", re.compile(r"[（(]\s*([一二三四五六七八九十]{1,4})\s*[)）]\s*[、.．]?\s*(.*)", re.DOTALL)),
    ("（1）", re.compile(r"[（(]\s*([\d０-９]{1,3})\s*[)）]\s*(.*)", re.DOTALL)),
    ("1.", re.compile(r"([\d０-９]{1,3})\s*(?:、|[.．](?![\d０-９]))\s*(.*)", re.DOTALL)),
)
_CIRCLED = re.compile(r"([①-⑳])\s*(.*)", re.DOTALL)
_DECIMAL = re.compile(r"(\d{1,2}(?:\.\d{1,2}){1,4})[.．、]?[\s\u3000]*(?=\D)(.*)", re.DOTALL)
_DECIMAL_TOP = re.compile(r"(\d{1,2})[\s\u3000]+([^\W\d].*)", re.DOTALL)
_ATTACHMENT = re.compile(rf"附\s*(?:件|录|表)\s*((?:[\dA-Z]|[{NUMERAL}])*)\s*[:：.．]?\s*(.*)", re.DOTALL)
CAPTION = re.compile(rf"(?:附?表|续表)\s*(?:[\d{NUMERAL}]+(?:[-—.－]\d+)*)?[\s\u3000:：.、]*\S.{{0,50}}")
_UNITS = ("%", "％", "亿", "万", "倍", "元", "个", "年", "吨", "公里", "平方")
"""What follows a number that is an amount."""
_CLAUSE = re.compile(r"[^。；：:!！?？]*")


@dataclass(frozen=True)
class Mark:
    """How a paragraph begins."""

    kind: str
    rank: int
    number: int
    label: str
    """The mark as written (第五条, 一、, 1.1)."""
    rest: str
    """What follows it."""


def article(text: str, expected: int | None) -> Mark | None:
    """The article that begins with this paragraph.

    A sentence may begin with 第五条规定的…, which only refers to an article: without a blank behind it the number has
    to be `expected` (the one after the last, 1 at first), and what follows must not read on from it.
    """
    if not text.startswith("第"):
        return None
    found = _ARTICLE.match(plain(text))
    if not found:
        return None
    number = to_int(found[1])
    if number is None:
        return None
    follows = number == expected or bool(found[2])
    refers = bool(_REFERS_ON.match(found[4]))
    if refers and not (follows and found[3]):
        return None
    if not found[3] and not follows and found[4] and not found[4].startswith(("【", "[", "（", "(", "〔")):
        return None
    label = re.sub(r"\s", "", text[: found.end(2)])
    return Mark(ARTICLE, _RANKS[ARTICLE], number, label, text[found.start(4) :])


def division(text: str) -> Mark | None:
    """编, 章, 节: a short line of its own."""
    if not text.startswith("第") or len(text) > 2 * _LONGEST_HEADING:
        return None
    found = _DIVISION.fullmatch(plain(text))
    if not found or len(found[3]) > _LONGEST_HEADING or ends_sentence(found[3]):
        return None
    number = to_int(found[1])
    if number is None:
        return None
    return Mark(found[2], _RANKS[found[2]], number, text[: found.end(2)], text[found.start(3) :])


def item(text: str, *, decimals: bool = False) -> Mark | None:
    """一、 （一） 1. （1） ① 1.1 and, when `decimals` says that the document numbers so, the heading `1 范围`."""
    found = _DECIMAL.match(text)
    if found and not found[2].startswith(_UNITS):
        depth = found[1].count(".")
        if decimals:
            return Mark("1.1", _DECIMAL_RANK + depth, int(found[1].split(".")[-1]), found[1], found[2])
        return None
    for kind, pattern in _LISTS:
        found = pattern.fullmatch(text)
        if found and (number := to_int(found[1])) is not None:
            rank = _DECIMAL_RANK if decimals and kind == "1." else _RANKS[kind]
            return Mark(kind, rank, number, text[: found.start(2)].strip(), found[2])
    if found := _CIRCLED.fullmatch(text):
        return Mark("①", _RANKS["①"], ord(found[1]) - ord("①") + 1, found[1], found[2])
    if decimals and (found := _DECIMAL_TOP.fullmatch(text)) and is_heading_text(found[2]):
        return Mark("1.1", _DECIMAL_RANK, int(found[1]), found[1], found[2])
    return None


def attachment(text: str) -> Mark | None:
    """附件, 附件1, 附件2：名称: a line of its own."""
    found = _ATTACHMENT.fullmatch(text)
    if not found or len(text) > _LONGEST_HEADING or ends_sentence(found[2]):
        return None
    if found[2] and not found[1] and not re.match(r"附\s*(?:件|录|表)\s*[:：]", text):
        return None  # 附件材料, 附表所列: words, no mark
    label = re.sub(r"\s", "", text[: found.start(2)]).rstrip(":：.．")
    return Mark(ATTACHMENT, _RANKS[ATTACHMENT], to_int(found[1]) or 0 if found[1] else 0, label, found[2])


def is_decimal(text: str) -> bool:
    """Whether it begins like 1.1 总则."""
    found = _DECIMAL.match(text)
    return bool(found and found[2] and is_heading_text(found[2]) and not found[2].startswith(_UNITS))


def is_heading_text(text: str) -> bool:
    """Whether it reads like a heading: short, and no sentence."""
    return 0 < len(text) <= _LONGEST_HEADING and not ends_sentence(text) and not re.search(r"[。；，]", text)


def heading_of(mark: Mark) -> str:
    """What names the part in a path: the mark with its heading, or alone when the text begins at once."""
    clause = _CLAUSE.match(mark.rest)
    head = clause.group().strip() if clause else ""
    blank = " " if mark.label[-1] not in "、）)．." else ""
    return f"{mark.label}{blank}{head}".strip() if is_heading_text(head) else mark.label
