"""Text -> terms: the recipe by which passages are indexed and questions asked. Pure functions.

Two streams of terms go into one bag. Words (jieba's cut) know the language; bigrams (every two neighbouring Chinese
characters) find what jieba cuts differently in the question and in the passage, and names it does not know. A word of
two characters comes out of both streams and so weighs twice.

Full-width letters and digits and the like are folded (NFKC) and letters lower-cased on both sides:
ＧＢ１８０３０ and gb18030 are one term. Text must be well-formed Unicode, without lone surrogates.
`python -m tools.evaluate_retrieval` measures every change made here; raise VERSION with it.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import rjieba

VERSION = 1
"""Indexes filled by another version of this file give other terms and are refused."""

QUESTION_WORDS = frozenset(
    word
    for line in (
        "的 了 是 在 和 与 有 被 于 由 位 种 个 年 少 一个 什么 是什么 是谁 是多 谁 哪 哪个 哪些 哪一",
        "多少 如何 怎么 怎样 为什么 吗 呢 请问 几 何 何时 哪里 哪年 哪位 哪种",
        "什么时候 时候 什么时间 多久 多长时间 由谁",
    )
    for word in line.split()
)
"""Say that something is asked, not what about."""

MAX_TERM_LENGTH = 64
"""Characters of a term that count; longer runs are hashes, base64 and the like."""

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
"""Zero-width and direction marks, which come along with text copied from pages and cut words apart."""
_SPACE = " ".encode("utf-32-le")
_STATE_NAME = "中华人民共和国"
_BORDER = "\ua000"
"""A letter (of Yi) that jieba cuts off on both sides, so that many texts can be cut in one call."""
_HAN = r"\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# At each Chinese character the pair that begins there, or itself when it stands alone; other letters as a whole.
_BIGRAM = re.compile(
    rf"(?=([{_HAN}]{{2}}|(?<![{_HAN}])[{_HAN}](?![{_HAN}])|[^\W_{_HAN}]{{1,{MAX_TERM_LENGTH}}}))(?:[{_HAN}]|[^\W_{_HAN}]+)"
)
_OTHERS = re.compile("([^\u4e00-\u9fff]+)")
_RUN = re.compile(rf"([\u4e00-\u9fff{_HAN}]+)|([^\W_{_HAN}]+)")
# Longest first, so that 是什么 goes as a whole. Single characters stay: 年 and 位 are parts of many words.
_QUESTION_PHRASE = re.compile("|".join(sorted((w for w in QUESTION_WORDS if len(w) > 1), key=lambda w: (-len(w), w))))


def passage_terms(title: str, text: str) -> list[str]:
    """All terms of a passage, each as often as it occurs.

    中华人民共和国 is left out of titles: every statute bears it, and it would make short titles look long.
    """
    return sentence_terms(_titled(title, text))


def joined_terms(passages: Iterable[tuple[str, str]]) -> list[str]:
    """Of each (title, text) its `passage_terms`, joined by spaces, in another order. Takes half the time."""
    passages = list(passages)
    folded = [fold(text) for _, text in passages]
    if not folded or any(_BORDER in one for one in folded):
        return [" ".join(passage_terms(title, text)) for title, text in passages]
    titles = [_joined_title_terms(title) for title, _ in passages]
    words = " ".join(_words(_BORDER.join(folded))).split(_BORDER)
    parts = zip(titles, words, folded, strict=True)
    return [f"{title}{own.strip()} {_joined_bigrams(one)}".strip() for title, own, one in parts]


def sentence_terms(text: str) -> list[str]:
    """All terms of any piece of a passage, such as one sentence of it; empty when it has no letter or digit."""
    folded = fold(text)
    return _words(folded) + _bigrams(folded)


def question_terms(question: str) -> list[str]:
    """The terms that a question searches for, each as often as it occurs; empty when there is no letter or digit.

    Question words are left out, unless a stream would have nothing else.
    """
    return list(_terms_asked_for(question))


@lru_cache(512)
def _terms_asked_for(question: str) -> tuple[str, ...]:
    """Kept, for the stages of a turn ask for those of the same few questions."""
    folded = fold(question)
    # Deleted without a gap: measured on both benches, the bigram across it does a little more good than harm.
    bigrams = _bigrams(_QUESTION_PHRASE.sub("", folded))
    return (*_words_asked_for(question), *(bigrams or _bigrams(folded)))


def question_words(question: str) -> list[str]:
    """The words among the terms of a question, bigrams aside."""
    return list(_words_asked_for(question))


@lru_cache(512)
def _words_asked_for(question: str) -> tuple[str, ...]:
    words = _words(fold(question))
    return tuple([word for word in words if word not in QUESTION_WORDS] or words)


def fold(text: str) -> str:
    """The form in which texts are compared: half-width, lower case, without invisible characters (NFKC)."""
    # Common Chinese characters neither change nor join with their neighbours: a quarter of the time for Chinese.
    pieces = _OTHERS.split(text)
    pieces[1::2] = [_fold_short(one) if len(one) < 8 else _fold_long(one) for one in pieces[1::2]]
    return "".join(pieces)


@lru_cache(4096)
def _fold_short(piece: str) -> str:
    return unicodedata.normalize("NFKC", _INVISIBLE.sub("", piece)).lower()


_fold_long = _fold_short.__wrapped__
"""Punctuation between Chinese characters is always the same few; longer pieces are not worth keeping."""


def _titled(title: str, text: str) -> str:
    """What is cut of a passage. A title is a file's first line, which may be a whole page: such a one is not kept."""
    words = _title_words if len(title) < 100 else _title_words.__wrapped__
    return f"{words(title)}\n{text}"


@lru_cache(1024)
def _title_words(title: str) -> str:
    """Kept, for passages that follow each other are often parts of one document."""
    return fold(title).replace(_STATE_NAME, "")


def _joined_title_terms(title: str) -> str:
    words = _title_terms if len(title) < 100 else _title_terms.__wrapped__
    return words(title)


@lru_cache(1024)
def _title_terms(title: str) -> str:
    """With a space after each."""
    return "".join([f"{term} " for term in sentence_terms(_title_words(title))])


def _words(folded: str) -> list[str]:
    """jieba's words that hold a letter or a digit."""
    cut = rjieba.cut(folded)
    # The first test is nearly always enough, and ten times as fast.
    return [word[:MAX_TERM_LENGTH] for word in cut if word.isalnum() or (len(word) > 1 and _has_letter(word))]


def _has_letter(word: str) -> bool:
    return any(map(str.isalnum, word))


def _bigrams(folded: str) -> list[str]:
    """`专项债2024` -> `专项 项债 2024`; a lone character stays itself."""
    found: list[str] = _BIGRAM.findall(folded)
    return found


def _joined_bigrams(folded: str) -> str:
    """The terms of `_bigrams`, joined by spaces: first the pairs, then all others."""
    firsts, seconds, others = [], [], []
    for han, other in _RUN.findall(folded):
        if other:
            others.append(other[:MAX_TERM_LENGTH])
        elif len(han) == 1:
            others.append(han)
        else:
            firsts.append(han[:-1])
            seconds.append(han[1:])
    first = "".join(firsts).encode("utf-32-le")
    # Three numbers a pair: a character, the one after it, a space. Joining strings takes twice as long.
    pairs = memoryview(bytearray(_SPACE * (3 * len(first) // len(_SPACE)))).cast("I")
    pairs[0::3] = memoryview(first).cast("I")
    pairs[1::3] = memoryview("".join(seconds).encode("utf-32-le")).cast("I")
    return str(pairs, "utf-32-le") + " ".join(others)
