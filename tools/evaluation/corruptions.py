"""Sentences that a passage does not support, made from one of its own. Nothing here uses rag_server's checks."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import rjieba

from tools.evaluation.disguises import HANZI, Dice, Source, clauses_of, with_article, with_doc_no
from tools.evaluation.numerals import chinese, chinese_digits, read_integer

ISSUERS = ("财预", "财库", "国发", "国办发", "财综", "发改投资", "银发", "财税", "建房", "人社部发")
NAMES = ("nr", "ns", "nt", "nz", "nrt")
"""Parts of speech (jieba's) of names."""

_NUMERAL = re.compile(
    rf"(?<![{HANZI}\d.,万亿几数分之第点])(?:\d+(?:\.\d+)?|[{HANZI}]*[二三四五六七八九十百千][{HANZI}]*)"
    r"(?=[个名位人元万亿年月日天条次倍岁家%％份级层项部集座所米公里张小届])"
)
_DATE = re.compile(
    r"(?<!\d)\d{2,4}年(?:\d{1,2}月)?(?:\d{1,2}日)?|\d{1,2}月\d{1,2}日|[一二][〇零一二三四五六七八九]{3}年|\d{1,2}世纪"
)
_UNITS = {
    **{
        "万": "亿",
        "亿": "万",
        "个工作日": "日",
        "日": "个工作日",
        "天": "个工作日",
        "年": "个月",
        "个月": "年",
        "月": "年",
    },
    **{
        "元": "万元",
        "万元": "元",
        "亿元": "万元",
        "美元": "元",
        "％": "‰",
        "%": "‰",
        "倍": "%",
        "周": "个月",
        "岁": "个月",
    },
    **{"公里": "米", "米": "公里", "平方公里": "公顷", "公顷": "亩", "亩": "公顷", "吨": "公斤", "公斤": "吨"},
    **{"小时": "分钟", "分钟": "小时"},
}
_UNIT = "|".join(sorted(_UNITS, key=len, reverse=True))
_EXCHANGES: Mapping[str, Sequence[str]] = {
    **{"不得": ("可以", "应当", "必须", "得", ""), "可以": ("不得", "应当", "必须", "不可以")},
    **{"应当": ("可以", "不得", "不应当", "无需", "必须"), "必须": ("可以", "不得", "无须", "不必")},
    **{"禁止": ("允许", "可以", "应当"), "严禁": ("允许", "鼓励"), "没有": ("有",), "未经": ("经",), "不": ("",)},
    **{
        "未": ("", "已"),
        "无": ("有",),
        "无需": ("必须", "需"),
        "有权": ("无权",),
        "能够": ("不能",),
        "除外": ("在内",),
    },
    **{
        "以外": ("以内",),
        "非": ("",),
        "需要": ("不需要", "无需"),
        "只能": ("不能", "可以"),
        "允许": ("禁止", "不允许"),
    },
}
_PUT_IN = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"是(?=[^否非不])", "不是"),
        (r"(?<![没具所享拥只含])有(?=[^关效权限时些])", "没有"),
        (r"位于", "不位于"),
        (r"属于", "不属于"),
        (r"由(?=.{2,12}(?:负责|批准|规定|制定|执行))", "不由"),
        (r"会(?=[将被使导])", "不会"),
        (r"适用(?=于|本|《)", "不适用"),
        (r"包括", "不包括"),
        (r"曾(?=[在任获被经])", "未曾"),
        (r"(?<=，)被(?=[^告害])", "未被"),
        (r"成为", "未成为"),
        (r"(?<![不未])能(?=[在使够让把将被])", "不能"),
        (r"获得", "未获得"),
        (r"担任", "没有担任"),
        (r"进行", "不进行"),
        (r"参加", "没有参加"),
    )
)
_NO_NEGATION = re.compile(
    "不断|不仅|不但|不论|不管|无论|不同|非常|未来|没收|不动产|不过|无线|不久|不少|不如|不幸|非洲|无限|不足|不锈|不时|不只|无关|未知|无法"
)


class Edit(NamedTuple):
    """A stretch of a sentence and what shall stand there."""

    start: int
    end: int
    new: str

    def of(self, sentence: str) -> str:
        return sentence[: self.start] + self.new + sentence[self.end :]


def number_changed(source: Source, sentence: str, dice: Dice) -> str | None:
    """A number with another value; dates are left."""
    del source
    dates = [match.span() for match in _DATE.finditer(sentence)]
    found = [m for m in _NUMERAL.finditer(sentence) if not any(a <= m.start() < b for a, b in dates)]
    if not found:
        return None
    match = dice.choice(found)
    return Edit(*match.span(), _another_number(match.group(), dice)).of(sentence)


def _another_number(numeral: str, dice: Dice) -> str:
    if "." in numeral:
        return f"{float(numeral) + dice.choice((-0.1, 0.1, 1, 10)):.{len(numeral.partition('.')[2])}f}"
    value = int(numeral) if numeral.isdigit() else read_integer(numeral)
    changes = (value + 1, value - 1, value * 2, value * 10, value + dice.randint(1, 30), value // 2, value // 10)
    new = dice.choice([n for n in changes if n not in (value, 0) and n > 0])
    return str(new) if dice.random() < 0.8 - 0.5 * (not numeral.isdigit()) else chinese(new)


def date_changed(source: Source, sentence: str, dice: Dice) -> str | None:
    """Another year, month or day."""
    del source
    found = list(_DATE.finditer(sentence))
    if not found:
        return None
    date = dice.choice(found)
    part = dice.choice(list(re.finditer(r"\d+|[〇零一二三四五六七八九]{4}", date.group())))
    if part.group().isdigit():
        value, unit = int(part.group()), date.group()[part.end() : part.end() + 1]
        low, high = {"月": (1, 12), "日": (1, 28)}.get(unit, (max(1, value - 30), value + 30))
        new = str(dice.choice([n for n in range(low, high + 1) if n != value]))
    else:
        year = read_integer(part.group())
        new = chinese_digits(dice.choice([n for n in range(year - 30, year + 30) if n != year]))
    return Edit(date.start() + part.start(), date.start() + part.end(), new).of(sentence)


def unit_changed(source: Source, sentence: str, dice: Dice) -> str | None:
    """A number of something else: 日 for 工作日, 亿 for 万."""
    del source
    edits = []
    for match in re.finditer(rf"(?<=[\d{HANZI}])(?:{_UNIT})(?=[^月日\d度代个间]|$)", sentence):
        before, unit = sentence[: match.start()], match.group()
        dated = unit in "月日年" and re.search(r"年\d*$|月\d*$|\d{3}$|[〇零一二三四五六七八九]{4}$", before)
        counted = re.search(rf"第[\d{HANZI}]+$|[第万一统同单唯]$", before) and unit not in "万亿"
        if not dated and not counted:
            edits.append(Edit(*match.span(), _UNITS[unit]))
    return dice.choice(edits).of(sentence) if edits else None


def negated(source: Source, sentence: str, dice: Dice) -> str | None:
    """不 put in or taken out, or 不得, 可以, 应当 and the like exchanged."""
    del source
    kept = [match.span() for match in _NO_NEGATION.finditer(sentence)]
    words = "|".join(sorted(_EXCHANGES, key=len, reverse=True))
    edits = [
        Edit(*match.span(), dice.choice(_EXCHANGES[match.group()]))
        for match in re.finditer(words, sentence)
        if not any(a <= match.start() < b for a, b in kept)
    ]
    edits += [Edit(*match.span(), new) for pattern, new in _PUT_IN for match in pattern.finditer(sentence)]
    return dice.choice(edits).of(sentence) if edits else None


def entity_swapped(source: Source, sentence: str, dice: Dice, pools: Mapping[str, Sequence[str]]) -> str | None:
    """A name, a body, a role or an answer replaced by another of its kind; or two of the sentence exchanged.

    `pools` hold what may be put in, by part of speech, `role` and `answer`.
    """
    names = [(word, tag) for word, tag in rjieba.tag(sentence) if tag in NAMES and len(word) > 1 and word.isalpha()]
    names += [(role, "role") for role in pools["role"] if role in sentence]
    names += [(span, "answer") for span in source.answers if is_short_answer(span) and span in sentence]
    if not names:
        return None
    word, tag = dice.choice(names)
    others = [other for other, kind in names if kind == tag and _apart(word, other)]
    if others and dice.random() < 0.3:
        other = dice.choice(others)
        swapped = sentence.replace(word, "\0").replace(other, word).replace("\0", other)
        return None if f"{word}、{other}" in sentence or f"{other}、{word}" in sentence else swapped
    inside = [other for other in pools[tag] if other in source.text and other not in sentence and _apart(word, other)]
    choices = inside if inside and dice.random() < 0.3 else pools[tag]
    tries = (dice.choice(choices) for _ in range(20))
    new = next((other for other in tries if _apart(word, other) and other not in sentence), None)
    return sentence.replace(word, new, 1) if new else None


def is_short_answer(span: str) -> bool:
    """Whether a span is short and wordy enough to stand for another one."""
    return 2 <= len(span) <= 12 and not re.search(r"[\d，。]", span)


def _apart(one: str, other: str) -> bool:
    return one not in other and other not in one


def spliced(source: Source, sentence: str, dice: Dice) -> str | None:
    """The beginning of one sentence with the end of another one of the passage."""
    others = [s for s in source.sentences if s != sentence]
    if not others:
        return None
    other = dice.choice(others)
    heads, tails = clauses_of(sentence[:-1]), clauses_of(other)
    if len(heads) >= 2 and len(tails) >= 2 and dice.random() < 0.8:
        cut, start = dice.randint(1, len(heads) - 1), dice.randint(1, len(tails) - 1)
        return "".join(heads[:cut]).rstrip("，；") + "，" + "".join(tails[start:])
    words, more = rjieba.cut(sentence[:-1]), rjieba.cut(other)
    if min(len(words), len(more)) < 6:
        return None
    return "".join(words[: len(words) // 2]).rstrip("，；、") + "".join(more[len(more) // 2 :]).lstrip("，；、")


def doc_no_changed(source: Source, sentence: str, dice: Dice) -> str | None:
    """Led in with a 文号 of another year, number or issuer."""
    match = re.fullmatch(r"(.+)〔(\d+)〕(\d+)号", source.doc_no or "")
    if not match:
        return None
    issuer, year, n = match.groups()
    changed = dice.choice((
        (issuer, str(int(year) + dice.choice((-3, -2, -1, 1, 2))), n),
        (issuer, year, str(int(n) + dice.choice((1, 2, 10, 100)))),
        (dice.choice([other for other in ISSUERS if other != issuer]), year, n),
    ))  # fmt: skip
    return with_doc_no(source.title, changed, dice) + sentence


def article_changed(source: Source, sentence: str, dice: Dice) -> str | None:
    """Led in with another article than the passage is."""
    match = re.match(r"第([一二三四五六七八九十百千零〇]+)条", source.text)
    if not match:
        return None
    n = read_integer(match[1]) + dice.choice((-2, -1, 1, 2, 10))
    return with_article(source.title, n, sentence, dice) if n > 0 else None
