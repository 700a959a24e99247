"""What a question names exactly (文号, 第…条, years, 《law names》), and what passages bear of it. Pure functions.

One normal form on both sides, so that every way of writing one number is one keyword:
财预〔2016〕155号, 财预[2016]155号, 财预2016 155号, ＷＩＤＥ digits -> 财预[2016]155; 财政部令第八十一号 -> 财政部令81;
第三十二条之一 and 第32条之1 -> 32-1.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from service_kit.numerals import NUMERAL, to_int
from service_kit.passages.passage import Passage

Item = TypeVar("Item")

MOST_MENTIONS = 8
"""References of one kind that are looked at; a question that names more is a list."""

_HAN = r"\u3400-\u4dbf\u4e00-\u9fff"
_NUMBER = rf"(?:\d{{1,5}}|[{NUMERAL}]{{1,8}})"
_YEAR = r"(?:19|20)\d\d"
# A 文号 has its year in brackets, or bare and then ends with 号; an order (令) may have none. What stands before it is
# looked for afterwards, backwards: a pattern that began with it would try every character of a long question.
_CORE = re.compile(
    rf"[〔\[【〖({{]\s*(?P<year>{_YEAR})\s*年?\s*[〕\]】〗)}}]\s*(?:第\s*)?(?P<number>\d{{1,5}})(?!\d)(?:\s*[号號])?"
    rf"|(?<!\d)(?P<bare_year>{_YEAR})\s*(?:年\s*)?[-—–]?\s*(?:第\s*)?(?P<bare_number>\d{{1,5}})\s*[号號]"
    rf"|(?<=令)\s*第?\s*(?P<order>{_NUMBER})\s*[号號]"
)
_PREFIX = re.compile(rf"[{_HAN}](?:\s?[{_HAN}]){{0,23}}\s*\Z")
_LABEL = re.compile(r"^(?:发文字号|发文号|文件编号|文号|字号|编号)")
# 预算法32条 is said, too: without 第 an Arabic number must follow a law's name.
_ARTICLE = re.compile(
    rf"(?:第\s*|(?<=[法典例则定》])(?=\d))(?P<article>{_NUMBER})\s*[条條](?:\s*之\s*(?P<insert>{_NUMBER}))?"
    rf"(?:\s*第\s*(?P<paragraph>{_NUMBER})\s*款)?(?:\s*第?\s*[(（]?(?P<item>{_NUMBER})[)）]?\s*[项項])?"
)
_ARTICLE_HEAD = re.compile(rf"[\s\u3000]*第\s*{_NUMBER}\s*[条條](?:\s*之\s*{_NUMBER})?(?=[\s\u3000:：(（【\[]|$)")
"""Where an article begins, not where it is cited."""
_QUESTION_YEAR = re.compile(rf"(?<!\d)({_YEAR})(?!\d)")
_HAN_YEAR = re.compile(r"[一二][〇零○九][〇零○一二三四五六七八九]{2}(?=\s*年)")
_LAW = re.compile(r"《([^《》]{2,60})》")
_KIND = "法|法典|条例|办法|规定|细则|准则|决定|解释|通知|意见|规则|章程|制度|修正案"
_NAMES_LAW = re.compile(rf"(?:{_KIND}|\d\s*[号號](?:文件?)?)$")
_POINTS_BACK = re.compile(rf"(?:该|本|此|这[一个部项]*|上述|前述|有关|相关|根据|按照|依照|其)(?:{_KIND})$")
"""该办法第五条 names no law: which one was meant stands elsewhere."""
_BETWEEN_ARTICLES = re.compile(r"[、,和与及或至到\s]*")
_STATE_NAME = "中华人民共和国"
_LEFT_OUT = re.compile(r"[《》\s]")
_ASIDE = re.compile(r"[(\[〔][^()\[\]〔〕]*[)\]〕]$")
"""（2018年修正） at the end of a title."""


@dataclass(frozen=True)
class ArticleMention:
    """第三十二条第二款第（三）项 in a question; `before` is what stands before it, where the law's name would be."""

    article: str
    paragraph: int | None = None
    item: int | None = None
    before: str = ""

    @property
    def names_law(self) -> bool:
        """Whether a law or the like seems to be named before it."""
        return bool(_NAMES_LAW.search(self.before)) and not _POINTS_BACK.search(self.before)


@dataclass(frozen=True)
class References:
    """What a question names. Empty tuples when it names nothing."""

    doc_nos: tuple[tuple[str, ...], ...] = ()
    """For each 文号 its possible readings, longest first: 据财预〔2016〕155号 is 据财预[2016]155 or 财预[2016]155."""
    articles: tuple[ArticleMention, ...] = ()
    years: tuple[int, ...] = ()
    """Without those that are part of a 文号."""
    laws: tuple[str, ...] = ()
    """Names in 《》, as `title_key` gives them."""

    def __bool__(self) -> bool:
        return bool(self.doc_nos or self.articles or self.years or self.laws)


NO_REFERENCES = References()


def named_in(question: str) -> References:
    """What `question` names exactly.

    >>> named_in("财预2016 155号第五条怎么规定？").doc_nos
    (('财预[2016]155',),)
    """
    text = _fold(question)
    numbers = _doc_nos(text)
    return References(
        doc_nos=_first(number.readings() for number in numbers),
        articles=_first(_article_mentions(text)),
        years=_first(_years(_blanked(text, numbers))),
        laws=_first(title_key(found[1]) for found in _LAW.finditer(text)),
    )


def mention_texts(question: str) -> list[str]:
    """The pieces of a question that are a 文号 or 第…条, as they are written: what an exact match answers in full."""
    text = _fold(question)
    numbers = [text[number.start : number.end] for number in _doc_nos(text)]
    return numbers + [found.group() for found in _ARTICLE.finditer(text)]


def doc_no_keys(field: str | None) -> tuple[str, ...]:
    """The keywords of a passage's `doc_no`: one for each number in it. What has no known form is its own keyword.

    >>> doc_no_keys("财预〔2016〕155号"), doc_no_keys("GB/T 7714—2015")
    (('财预[2016]155',), ('gb/t7714—2015',))
    """
    if not field:
        return ()
    text = _fold(field)
    found = [number.readings()[0] for number in _doc_nos(text)]
    return tuple(dict.fromkeys(found)) or ((_squeeze(text).lower(),) if text.strip() else ())


def article_keys(passage: Passage) -> tuple[str, ...]:
    """The articles that a passage is, or is a part of: those of its `path`, else those that begin in its text."""
    named = _keys_in(passage.path) if passage.path else ()
    if not named:
        heads = [found[0] for line in passage.text.split("\n") if (found := _ARTICLE_HEAD.match(line))]
        named = tuple(key for head in heads for key in _keys_in_head(head))
    return tuple(dict.fromkeys(named))


def _keys_in(text: str) -> tuple[str, ...]:
    keys = (_article_key(found) for found in _ARTICLE.finditer(_fold(text)))
    return tuple(key for key in keys if key)


_keys_in_head = lru_cache(1024)(_keys_in)
"""Every law begins with the same ones."""


def years_of(passage: Passage) -> frozenset[int]:
    """The years that a passage's title, 文号 and dates (not its text) bear."""
    texts = (passage.title, passage.doc_no, passage.issued, passage.effective)
    return frozenset(year for text in texts if text for year in _years(_fold(text)))


def issuer_keys(field: str | None) -> tuple[str, ...]:
    """The bodies that issued a document, one keyword each.

    >>> issuer_keys("中华人民共和国财政部、国家税务总局")
    ('财政部', '国家税务总局')
    """
    if not field:
        return ()
    names = re.split(r"[\s、,;，；/]+", _fold(field).replace(_STATE_NAME, ""))
    return tuple(dict.fromkeys(name for name in names if name))


def title_key(title: str) -> str:
    """A title without what its quoters leave out: 《》, the state's name, （2018年修正）."""
    key = _LEFT_OUT.sub("", _fold(title)).replace(_STATE_NAME, "")
    return _ASIDE.sub("", key) or key


def names_title(mention: ArticleMention, title: str) -> int:
    """How many characters before 第…条 name the document of this title; 0 when they do not.

    Whole titles count first (each character 100), then shortened ones (治安处罚法 for 治安管理处罚法, at least three
    characters in their order, from the end back).
    """
    key = title_key(title)
    if len(key) < 2:
        return 0
    if mention.before.endswith(key):
        return 100 * len(key)
    matched, at = 0, len(key)
    for char in reversed(mention.before):
        found = key.rfind(char, 0, at)
        if found < 0 or (matched == 0 and found != len(key) - 1):
            break
        matched, at = matched + 1, found
    return matched if matched >= 3 and mention.names_law else 0


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", "", text)


@dataclass(frozen=True)
class _DocNo:
    """One 文号 in a text: `text[start:end]`."""

    prefix: str
    number: str
    start: int
    end: int

    def readings(self) -> tuple[str, ...]:
        """A single character is hardly ever a whole prefix."""
        return tuple(self.prefix[start:] + self.number for start in range(max(1, len(self.prefix) - 1)))


def _doc_nos(text: str) -> list[_DocNo]:
    found: list[_DocNo] = []
    for core in _CORE.finditer(text):
        end_of_last = found[-1].end if found else 0
        prefix = _PREFIX.search(text, max(end_of_last, core.start() - 50), core.start())
        if prefix is None:
            continue
        name = _LABEL.sub("", _squeeze(prefix.group()).replace(_STATE_NAME, ""))
        if core["order"]:
            number = f"{to_int(core['order'])}"
        else:
            number = f"[{core['year'] or core['bare_year']}]{int(core['number'] or core['bare_number'])}"
        if name:
            found.append(_DocNo(name, number, prefix.start(), core.end()))
    return found


def _article_mentions(text: str) -> list[ArticleMention]:
    mentions: list[ArticleMention] = []
    end = 0
    for found in _ARTICLE.finditer(text):
        key = _article_key(found)
        if key is None:
            continue
        between = text[end : found.start()]
        follows = bool(mentions) and _BETWEEN_ARTICLES.fullmatch(between)
        before = mentions[-1].before if follows else title_key(re.split(r"[。?!;\n]", between)[-1])[-60:]
        mentions.append(
            ArticleMention(key, _number(found["paragraph"]), _number(found["item"]), before.removesuffix("的"))
        )
        end = found.end()
    return mentions


def _article_key(found: re.Match[str]) -> str | None:
    number, insert = to_int(found["article"]), _number(found["insert"])
    if number is None:
        return None
    return f"{number}" if insert is None else f"{number}-{insert}"


def _number(numeral: str | None) -> int | None:
    return to_int(numeral) if numeral else None


def _years(text: str) -> list[int]:
    arabic = [int(year) for year in _QUESTION_YEAR.findall(text)]
    spelt = [to_int(year.replace("○", "〇")) for year in _HAN_YEAR.findall(text)]
    return arabic + [year for year in spelt if year]


def _blanked(text: str, numbers: Iterable[_DocNo]) -> str:
    for number in numbers:
        text = text[: number.start] + " " * (number.end - number.start) + text[number.end :]
    return text


def _first(items: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys(items))[:MOST_MENTIONS]
