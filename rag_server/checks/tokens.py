"""Text as the tokens that are compared: characters, Latin words, numbers in one form; and the words these belong to."""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import NamedTuple

import rjieba

from rag_server.checks.numbers import find_numbers

SOFT, STRONG, FULL = 1, 2, 3
"""What stands before a token: a comma or the like, a semicolon, a full stop."""

_HAN = r"\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(rf"(?P<han>[{_HAN}]+)|(?P<word>[^\W_{_HAN}]+(?:['’][^\W_{_HAN}]+)?)|(?P<mark>[^\w\s]|\s+)")
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


@dataclass(frozen=True, eq=False)
class Tokens:
    """`keys` are what is compared; `breaks[i]` is the strongest mark before token i (0: none), one more at the end."""

    keys: tuple[str, ...]
    breaks: tuple[int, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    """Where each token lies in `folded`."""
    folded: str
    joined: str
    """All keys, parted by spaces: a row of tokens stands in another one when its `joined` does."""

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """The words, found when they are first asked for: of a passage that is quoted exactly, never."""
        return self._cut[0]

    @cached_property
    def word_of(self) -> tuple[int, ...]:
        """Index into `words` for each token; -1 for a number."""
        return self._cut[1]

    @cached_property
    def _cut(self) -> tuple[tuple[Word, ...], tuple[int, ...]]:
        return _words(self.folded, self.keys, self.starts)

    def text(self, first: int, last: int) -> str:
        """Tokens `first` to `last` as they were written."""
        return self.folded[self.starts[first] : self.ends[last - 1]] if last > first else ""

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
    made = _Made()
    items = {match.start(): match.end() for match in _ITEM.finditer(folded)}
    fixed = [(number.start, number.end, f"#{number.key}") for number in find_numbers(folded)]
    fixed += [(start, end, "") for start, end in items.items()]
    fixed.sort(key=lambda one: (one[0], bool(one[2]) == folded[one[0]].isdecimal(), one[1]))  # 1. is an item, no number
    at, in_list = 0, False
    for start, end, key in [*fixed, (len(folded), len(folded), "")]:
        if start < at:  # an item and its number
            continue
        for match in _TOKEN.finditer(folded, at, start):
            if match["han"]:
                made.add_characters(match.group(), match.start())
            elif match["word"]:
                made.add(match.group(), match.span())
            else:
                level = _level(folded, *match.span())
                in_list = in_list and not (level == FULL and "\n" in match.group() and match.end() not in items)
                made.pending = max(made.pending, level)
        at = end
        if key:
            made.add(key, (start, end))
        elif start < len(folded):
            in_list = in_list or folded[:start].rstrip().endswith(":")
            made.pending = STRONG if in_list else max(made.pending, STRONG)
    return Tokens(
        tuple(made.keys), (*made.breaks, FULL), tuple(made.starts), tuple(made.ends), folded, f" {' '.join(made.keys)} "
    )


class _Made:
    """Tokens while they are found. `pending` is the strongest mark since the last one."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.breaks: list[int] = []
        self.pending = FULL

    def add(self, key: str, span: tuple[int, int]) -> None:
        self.keys.append(key)
        self.starts.append(span[0])
        self.ends.append(span[1])
        self.breaks.append(self.pending)
        self.pending = 0

    def add_characters(self, run: str, start: int) -> None:
        end = start + len(run)
        self.keys.extend(run)
        self.starts.extend(range(start, end))
        self.ends.extend(range(start + 1, end + 1))
        self.breaks.append(self.pending)
        self.breaks.extend([0] * (len(run) - 1))
        self.pending = 0


def _level(folded: str, start: int, end: int) -> int:
    mark = folded[start]
    if mark in "。!?":
        return FULL
    if mark == ".":
        return SOFT if folded[end : end + 1].strip() else FULL
    if mark == ";":
        return STRONG
    if mark in ",:—()":
        return SOFT
    if mark.isspace():
        before, after = folded[start - 1 : start], folded[end : end + 1]
        if "\n" in folded[start:end]:
            return STRONG if before in _GOES_ON else FULL
        return SOFT if _wide(before) and _wide(after) else 0  # 第四条 国家……
    return 0


def _wide(char: str) -> bool:
    return char >= "\u2e80"


def _words(folded: str, keys: Sequence[str], starts: Sequence[int]) -> tuple[tuple[Word, ...], tuple[int, ...]]:
    words: list[Word] = []
    word_of = [-1] * len(keys)
    position = token = 0
    for text, tag in rjieba.tag(folded):
        position += len(text)
        first, token = token, bisect_left(starts, position, token)
        held = [i for i in range(first, token) if not is_number(keys[i])]
        if held:
            for i in held:
                word_of[i] = len(words)
            words.append(Word("".join(map(keys.__getitem__, held)), tag, held[0], held[-1] + 1))
    return tuple(words), tuple(word_of)
