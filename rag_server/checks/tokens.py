"""Text as the tokens that are compared: characters, Latin words, numbers in one form; and the words these belong to."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import rjieba

from rag_server.checks.numbers import find_numbers

SOFT, STRONG, FULL = 1, 2, 3
"""What stands before a token: a comma or the like, a semicolon or colon, a full stop."""

_HAN = r"\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(rf"(?P<han>[{_HAN}])|(?P<word>[^\W_{_HAN}]+(?:['’][^\W_{_HAN}]+)?)|(?P<mark>[^\w\s]|\s+)")
_ITEM = re.compile(
    r"(?:^|(?<=[\n;:。,]))[ \t\u3000]*"
    r"(?:\([一二三四五六七八九十\d]{1,3}\)、?|[一二三四五六七八九十]{1,3}、|\d{1,2}(?:[.、)](?!\d))|[-*•·#]+(?=\s))"
)
"""Where an item of a list begins: its number says nothing."""
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_GOES_ON = frozenset(":;,、")


class Word(NamedTuple):
    """A word with its part of speech (jieba's: n, nr, ns, v, …); it covers tokens `first` to `last`."""

    text: str
    tag: str
    first: int
    last: int


class Tokens(NamedTuple):
    """`keys` are what is compared; `breaks[i]` is the strongest mark before token i (0: none), one more at the end."""

    keys: tuple[str, ...]
    breaks: tuple[int, ...]
    words: tuple[Word, ...]
    word_of: tuple[int, ...]
    """Index into `words` for each token; -1 for a number."""
    spans: tuple[tuple[int, int], ...]
    folded: str
    joined: str
    """All keys, parted by spaces: a row of tokens stands in another one when its `joined` does."""

    def text(self, first: int, last: int) -> str:
        """Tokens `first` to `last` as they were written."""
        return self.folded[self.spans[first][0] : self.spans[last - 1][1]] if last > first else ""

    def clauses(self, first: int, last: int, level: int = SOFT) -> list[tuple[int, int]]:
        """The stretches of tokens between marks of at least `level`."""
        cuts = [first, *(i for i in range(first + 1, last) if self.breaks[i] >= level), last]
        return list(pairwise(cuts)) if last > first else []


def is_number(key: str) -> bool:
    """Whether a token is a number."""
    return key[0] == "#"


def fold(text: str) -> str:
    """One form of each character: NFKC, lower case, without invisible ones."""
    return unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).lower()


@lru_cache(maxsize=256)
def tokenise(text: str) -> Tokens:
    """The tokens of `text`. Remembered: a passage is read once, however many sentences cite it."""
    folded = fold(text)
    items = {match.start(): match.end() for match in _ITEM.finditer(folded)}
    numbers = {n.start: n for n in find_numbers(folded)}
    keys: list[str] = []
    spans: list[tuple[int, int]] = []
    breaks: list[int] = []
    pending, in_list, at = FULL, False, 0
    while at < len(folded):
        if at in items:
            in_list = in_list or folded[:at].rstrip().endswith(":")
            pending = STRONG if in_list else max(pending, STRONG)
            at = items[at]
            continue
        if at in numbers:
            number = numbers[at]
            end, key = max(number.end, at + 1), f"#{number.key}"
        else:
            match = _TOKEN.match(folded, at)
            end = match.end() if match else at + 1
            if match is None or match["mark"]:  # no match: an underscore and the like
                level = _level(folded, at, end) if match else 0
                in_list = in_list and not (match and "\n" in match.group() and end not in items and level == FULL)
                pending, at = max(pending, level), end
                continue
            if match["word"]:  # letters that run into a number: covid19
                end = next((i for i in range(at + 1, end) if i in numbers), end)
            key = folded[at:end]
        keys.append(key)
        spans.append((at, end))
        breaks.append(pending)
        pending, at = 0, end
    words, word_of = _words(folded, keys, spans)
    return Tokens(tuple(keys), (*breaks, FULL), words, word_of, tuple(spans), folded, f" {' '.join(keys)} ")


def _level(folded: str, start: int, end: int) -> int:
    mark = folded[start]
    if mark in "。!?":
        return FULL
    if mark == ".":
        return FULL if not folded[end : end + 1].isalnum() else SOFT
    if mark in ";:—":
        return STRONG
    if mark == ",":
        return SOFT
    if mark.isspace():
        before, after = folded[start - 1 : start], folded[end : end + 1]
        if "\n" in folded[start:end]:
            return STRONG if before in _GOES_ON else FULL
        return SOFT if _wide(before) and _wide(after) else 0  # 第四条 国家……
    return 0


def _wide(char: str) -> bool:
    return char >= "\u2e80"


def _words(
    folded: str, keys: Sequence[str], spans: Sequence[tuple[int, int]]
) -> tuple[tuple[Word, ...], tuple[int, ...]]:
    words: list[Word] = []
    word_of = [-1] * len(keys)
    position = token = 0
    for text, tag in rjieba.tag(folded):
        position += len(text)
        first = token
        while token < len(keys) and spans[token][0] < position:
            token += 1
        held = [i for i in range(first, token) if not is_number(keys[i])]
        if held:
            for i in held:
                word_of[i] = len(words)
            words.append(Word("".join(keys[i] for i in held), tag, held[0], held[-1] + 1))
    return tuple(words), tuple(word_of)
