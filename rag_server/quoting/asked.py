"""What a question asks for (a date, a person, a reason, …), and what in a text is of that kind. Pure functions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["date", "number", "person", "place", "reason", "definition", "name", "list", "method", "judgement"]

_DIGITS = "一二三四五六七八九十百千万亿两零〇"
_NUMBER = rf"(?:\d[\d,.，]*|[{_DIGITS}]+)"
_MEASURES = "个种项级类名位人座条部次年月日天元米层家支届期套辆架艘只所倍岁"


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


_ASKS: dict[Kind, re.Pattern[str]] = {
    "date": _pattern(
        r"何[时年日]|什么(?:时[候间]|年|日子)|时间|哪一?[年天日月]|哪个(?:月|世纪|年代|时期|朝代)|几[年月日天]|年份|日期|期限"
        r"|多久|多长时间|\bwhen\b|\bhow long\b|\bwhat (?:date|year)"
    ),
    "number": _pattern(r"多少|几|多[大高长远重宽深]|比例|数量|\bhow (?:many|much)\b"),
    "person": _pattern(r"谁|哪[一两几]?位|什么人|何人|哪[个些]人|[哪什][个些么](?:部门|机关|单位)|\bwho\b"),
    "place": _pattern(
        r"哪里|哪儿|在哪|何[处地]|什么地[方区]|哪[一个些几]*(?:国|省|城|市|地|县|区|州|岛|洲)|位于|\bwhere\b"
    ),
    "reason": _pattern(r"为什么|为何|原因|怎么会|缘[故由]|\bwhy\b"),
    "definition": _pattern(r"什么是|是什么(?:[？?\s]|$)|何[为谓]|是指|指的?是|定义|含义|意思|\bwhat (?:is|are)\b"),
    "name": _pattern(
        r"叫|名[称字为]|称[为作]|被称|又称|[简全]称|别名|外号|哪[一两几]?[部本首款张出]"
        r"|什么(?:电影|作品|奖|节目|歌|书|剧)"
    ),
    "list": _pattern(r"哪些|哪[几两二三]|分别|包括|有什么"),
    "method": _pattern(r"如何|怎么|怎样|什么方[式法]|[用靠]什么|通过什么|依据什么|\bhow\b"),
    "judgement": _pattern(
        r"吗[？?\s]*$|是否|[能可]否|能不能|会不会|要不要|有没有|需不需要|算不算"
        r"|\b(?:can|may|must|does|do|is)\b"
    ),
}

_SHOWS: dict[Kind, re.Pattern[str]] = {
    "date": _pattern(
        rf"\d+\s*[年月日天]|[{_DIGITS}]+(?:年|个?月|日|天)|世纪|年代|时期|工作日|之日|届满|\d+:\d\d|[朝代]|\b(?:19|20)\d\d\b"
    ),
    "number": _pattern(rf"\d|[{_DIGITS}]+[{_MEASURES}]|百分之|%|[{_DIGITS}]{{2,}}"),
    "person": _pattern(
        r"·|[省市县]|财政部|国务院|部门|机关|政府|委员会|人民代表大会|由|[者家王帝长师人]|先生|女士|\bby\b"
    ),
    "place": _pattern(r"位于|[省市县区州镇村国府郡岛山河湾洋洲路街]|[东西南北]部|\b(?:in|at)\b"),
    "reason": _pattern(r"因|由于|为了|为免|以致|所以|使|导致|故|缘|鉴于|\bbecause\b"),
    "definition": _pattern(r"是指|指的|是一|为一|意思|意指|，是|即|所称|包括|\b(?:is|are|means|refers to)\b"),
    "name": _pattern(r"[《「『“\"]|称|名为|叫|又名|名叫"),
    "list": _pattern(r"、|以及|分别|包括|包含|分为|及|[（(][一1][)）]"),
    "method": _pattern(r"通过|以|用|方式|采[取用]|应当|按照|根据|\bby\b"),
    "judgement": _pattern(r"不|可以|应当|禁止|必须|有权|无需|没有|未|\b(?:can|may|must|shall|not)\b"),
}
KINDS: tuple[Kind, ...] = tuple(_ASKS)

_QUESTION_WORD = re.compile(
    r"为什么|为何|什么时[候间]|什么|何[时处地人种年日为谓]|谁|哪里|哪儿|哪[一两几]?[个家位种类部本首款座条支名所间届次项级年天月些]?"
    r"|多少|多[大高长远久重宽深]|几|如何|怎么样?|怎样|\b(?:what|which|who|whom|when|where|why|how)\b",
    re.IGNORECASE,
)
_ASKS_WHICH = re.compile("哪|什么|何种|多少|几")
_NOUN = re.compile(r"(?![是的了呢吗于由在有和与被会能可])[\u4e00-\u9fff]{1,2}")
_AROUND = 7
"""Characters beside the question word that say most about the answer."""


@dataclass(frozen=True)
class Asked:
    """What a question asks for."""

    kinds: tuple[Kind, ...]
    around: str
    """The text beside the question word: 由哪家公司[管理运营]."""
    noun: str
    """What is counted or chosen from (哪家公司 -> 公司, 多少公里 -> 公里), two characters at most; may be empty."""
    counted: bool
    """The noun is a unit: a number stands before it in the answer."""
    pieces: tuple[str, ...]
    """The question without its question words."""


def what_is_asked(question: str) -> Asked:
    """The kinds of answer that `question` wants (none, one or several) and the words beside its question word.

    >>> what_is_asked("广茂铁路全长多少公里？").kinds, what_is_asked("广茂铁路全长多少公里？").noun
    (('number',), '公里')
    """
    kinds = tuple(kind for kind, asks in _ASKS.items() if asks.search(question))
    pieces = tuple(piece for piece in _QUESTION_WORD.split(question) if piece.strip())
    words = list(_QUESTION_WORD.finditer(question))
    if not words:
        return Asked(kinds, "", "", False, pieces)
    word = words[-1]
    around = question[max(0, word.start() - _AROUND) : word.start()] + " " + question[word.end() : word.end() + _AROUND]
    noun = _NOUN.match(question, word.end()) if _ASKS_WHICH.match(word.group()) else None
    counted = word.group() in ("多少", "几")
    return Asked(kinds, around, noun.group() if noun else "", counted, pieces)


def shown(kind: Kind, text: str) -> Iterator[re.Match[str]]:
    """The places of `text` that show something of that kind.

    >>> [match.group() for match in shown("date", "自2017年1月起施行")]
    ['2017年', '1月']
    """
    return _SHOWS[kind].finditer(text)


def holds_noun(asked: Asked, text: str) -> bool:
    """Whether `text` has the noun asked for; behind a number when it is counted."""
    if not asked.noun:
        return False
    if asked.counted:
        return re.search(rf"{_NUMBER}\s*[多余]?{re.escape(asked.noun[0])}", text) is not None
    return asked.noun in text
