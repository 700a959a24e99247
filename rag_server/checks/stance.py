"""Negation, modality and comparison: the words that turn a sentence into its opposite."""

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from rag_server.checks.tokens import Word

_CLASSES = {
    "forbidden": "不得 不能 不可 不准 不许 不应 不应当 不应该 不可以 不能够 禁止 严禁 不允许 "
    "cannot prohibited forbidden",
    "may": "可以 可 得 得以 有权 允许 准许 能够 能 可否 may can could might",
    "should": "应当 应 应该 理应 要 should shall ought",
    "must": "必须 须 务必 必需 需要 需 须要 must required",
    "not": "没 没有 勿 莫 并非 并未 尚未 从未 无须 无需 不必 未曾 不再 否 不是 不予 不会 not no never without nor none",
    "except": "除 除外 除了 以外 之外 除非 例外 except unless excluding",
    "only": "只 仅 只能 只有 仅仅 唯一 only solely",
    "all": "全部 所有 一切 任何 全体 每 均 all every any",
    "some": "部分 有些 一部分 some partly",
    "above": "以上 超过 高于 大于 多于 至少 最少 最低 不少于 不低于 超出 逾 above over exceed least",
    "below": "以下 以内 之内 不足 低于 小于 少于 至多 最多 最高 不超过 不高于 不多于 未满 below under within most",
    "before": "以前 之前 前 before",
    "after": "以后 之后 后 after",
}
"""应当 and 必须 bind alike by the rules of drafting, but an answer that has the other one does not quote its source."""
_CLASS_OF = {word: name for name, words in _CLASSES.items() for word in words.split()}
_HARMLESS = frozenset(
    word
    for line in (
        "不断 不仅 不但 不论 不管 无论 不同 非常 未来 没收 不动产 不过 无线 不久 不少 不料 不幸 非洲 无数 无限",
        "不只 不光 不如 不禁 不时 不已 无疑 不愧 非凡 莫过于",
    )
    for word in line.split()
)
"""Begin like a negation and are none."""
_NEGATES = re.compile(r"[不未无非没勿莫否]|n['’]t$")


def stances(words: Iterable[Word]) -> Counter[str]:
    """How often each class of such words occurs.

    >>> stances([Word("不得", "v", 0, 2), Word("转让", "v", 2, 4)])
    Counter({'forbidden': 1})
    """
    found = Counter(name for word in words for name in _classes_of(word.text))
    if found["not"]:
        for permission in ("may", "should"):  # 不 and 可以 together are 不得
            both = min(found["not"], found[permission])
            found.update({"forbidden": both, "not": -both, permission: -both})
    return +found


def is_stance(word: Word) -> bool:
    """Whether a word is one of these."""
    return bool(_classes_of(word.text))


@lru_cache(maxsize=4096)
def _classes_of(word: str) -> tuple[str, ...]:
    if word in _CLASS_OF:
        return (_CLASS_OF[word],)
    return () if word in _HARMLESS else ("not",) * len(_NEGATES.findall(word))
