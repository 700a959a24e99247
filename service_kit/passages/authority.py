"""What a document counts beside others: the rank of its kind, whether it is in force, how new it is. Pure functions.

The ranks are those of 立法法 (2023), articles 98 to 107: the constitution, laws of the National People's Congress,
administrative regulations of the State Council, rules of ministries and local regulations, then what else an authority
issues. Judicial interpretations, which that order does not name, stand beside administrative regulations.

A passage tells the kind by its 文号, its title or its issuer. One that does not is never moved for it.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from functools import lru_cache

from service_kit.passages.index import Hit
from service_kit.passages.passage import Passage
from service_kit.passages.references import article_keys, issuer_keys, title_key
from service_kit.passages.validity import read_day, validity

OTHERS = 0.2
"""Of the margin, what is left between documents of one rank for being newer: that says far less there than between two
versions of one document."""


class Rank(IntEnum):
    """The kind of a document; the higher number prevails."""

    NOTICE = 1
    """规范性文件: 通知, 意见, 公告, and whatever bears a 文号 with its year in brackets."""
    RULE = 2
    """部门规章, 地方政府规章, 地方性法规; an organisation's own rules."""
    REGULATION = 3
    """行政法规, 司法解释."""
    LAW = 4
    CONSTITUTION = 5


_CONGRESS = re.compile(r"全国(?:人民代表大会|人大)")
_COURT = re.compile(r"最高人民(?:法院|检察院)")
_PLACE = re.compile(
    r"[\u4e00-\u9fff]{2,7}?(?:省|自治[区州县旗]|市(?![场政容])|县|(?<!特)区(?![域块])|人民代表大会|人大)"
)
_NUMBERS: Sequence[tuple[re.Pattern[str], Rank]] = (
    (re.compile("主席令"), Rank.LAW),
    (re.compile("国务院令|法释|高检发释"), Rank.REGULATION),
    (re.compile("令"), Rank.RULE),
    (re.compile(r"[〔\[(]\s*(?:19|20)\d\d\s*[〕\])]"), Rank.NOTICE),
)
_VERSION = re.compile(r"暂行|试行|修[订正]|[(（〔\[][^()（）〔〕\[\]]*[)）〕\]]|(?:19|20)\d\d年?度?")
"""By what the titles of one document's versions differ."""
_NOTICE = re.compile(r"(?:通知|意见|公告|通告|通报|函|批复|复函|答复|指南|方案|纪要|要点)$")
_RULE = re.compile(r"(?:办法|规定|细则|规则|规程|准则)$")


def rank_of(passage: Passage) -> Rank | None:
    """None: the passage does not tell.

    >>> rank_of(Passage("中华人民共和国预算法", "")), rank_of(Passage("关于印发《专项债务预算管理办法》的通知", ""))
    (<Rank.LAW: 4>, <Rank.NOTICE: 1>)
    """
    by_name = _rank(passage.title, passage.doc_no or "", passage.issuer or "")
    if by_name is None and title_key(passage.title).endswith("法") and article_keys(passage):
        return Rank.LAW  # 预算法, not 梯度下降法
    return by_name


@lru_cache(8192)
def _rank(title: str, doc_no: str, issuer: str) -> Rank | None:
    number = unicodedata.normalize("NFKC", doc_no)
    for pattern, rank in _NUMBERS:
        if pattern.search(number):
            return rank
    name = title_key(title)
    issuers = issuer_keys(issuer)
    by_state = "国务院" in issuers or name.startswith("国务院")
    if name in ("宪法", "宪法修正案"):
        return Rank.CONSTITUTION
    if _NOTICE.search(name):
        return Rank.NOTICE
    if _COURT.match(name) or any(map(_COURT.match, issuers)):
        return Rank.REGULATION
    if _CONGRESS.match(name) or any(map(_CONGRESS.match, issuers)):
        return Rank.LAW
    if name.endswith("法典") or (name.endswith("法") and not name.endswith("办法") and "中华人民共和国" in title):
        return Rank.LAW
    if name.endswith("条例"):
        return Rank.RULE if any(map(_PLACE.match, (name, *issuers))) else Rank.REGULATION
    if _RULE.search(name):
        return Rank.REGULATION if by_state else Rank.RULE
    return None


@lru_cache(8192)
def _document(title: str) -> str:
    return _VERSION.sub("", title_key(title))


@dataclass(frozen=True)
class Authority:
    """`document`: the title as all versions of the document bear it. `begins`: from when it holds."""

    in_force: bool
    rank: Rank | None
    document: str
    begins: date | None

    @classmethod
    def of(cls, hit: Hit) -> "Authority":
        """In force as of the day that the search was for. A document without dates begins in the year of its title."""
        passage = hit.passage
        begins = validity(passage).begins or read_day(passage.title)
        in_force = hit.status not in ("repealed", "not_yet")
        return cls(in_force, rank_of(passage), _document(passage.title), begins)

    def yields(self, to: "Authority", near: float) -> float:
        """How much better (as a share of its score) than `to` this one may be and still stand behind it; 0: not at all.

        What one of them does not tell decides nothing.
        """
        if self.in_force != to.in_force:
            return near if to.in_force else 0.0
        if self.rank != to.rank:
            return near if self.rank is not None and to.rank is not None and self.rank < to.rank else 0.0
        if self.begins is None or to.begins is None or self.begins >= to.begins:
            return 0.0
        return near if self.document == to.document else near * OTHERS


def by_authority(
    order: Sequence[str], scores: Mapping[str, float], hits: Mapping[str, Hit], near: float, top_k: int
) -> list[str]:
    """`order` (ids, best first), each passage moved before those that yield to it, as far as the first `top_k` go.

    It moves up one place at a time and stops at the first that does not yield: none passes a passage that is better by
    more than `near`, or that has as much authority. What the question names stays before the rest, and among it only
    another version of the same document is passed. A score of 0 or less is near to nothing.
    """
    known: dict[str, Authority] = {}

    def authority(one: str) -> Authority:
        if one not in known:
            known[one] = Authority.of(hits[one])
        return known[one]

    def reaches(one: str, before: str) -> bool:
        """Whether it may pass, whatever the two are."""
        exact = hits[one].exact
        return exact == hits[before].exact and scores[before] > 0 and scores[one] >= scores[before] * (1 - near)

    def passes(one: str, before: str) -> bool:
        if not reaches(one, before):  # nearly all pairs end here, unread
            return False
        if hits[one].exact and authority(one).document != authority(before).document:
            return False
        margin = authority(before).yields(authority(one), near)
        return margin > 0 and scores[one] >= scores[before] * (1 - margin)

    placed: list[str] = []
    for n, one in enumerate(order):
        at = len(placed)
        if at >= top_k and not reaches(one, placed[top_k - 1]):
            return placed + list(order[n:])  # nor does any that is worse
        while at and passes(one, placed[at - 1]):
            at -= 1
        placed.insert(at, one)
    return placed
