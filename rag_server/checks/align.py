"""Which sentences of a passage a sentence of the answer was taken from, and what was changed on the way."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from typing import NamedTuple

from rag_server.checks.passage import Passage, Unit
from rag_server.checks.tokens import Tokens, is_number

MUCH_BETTER = 0.25
"""A clause rests on another sentence than its neighbours only when it has this much more in common with it."""


_CONJUNCTIONS = ("", "并", "且", "并且", "而", "也", "还", "同时", "又", "则")


class Change(NamedTuple):
    """Tokens `first:last` of the answer stand where the passage has its tokens `was_first:was_last`. Whole words."""

    first: int
    last: int
    was_first: int
    was_last: int


class Part(NamedTuple):
    """Tokens `first:last` of the answer, taken from `unit` of `passage`."""

    first: int
    last: int
    passage: Passage
    unit: Unit
    changes: tuple[Change, ...]
    kept: frozenset[int]
    """Tokens of the answer that stand in the unit, in this order."""
    begins: int
    """The first and the last token of the unit that the answer keeps."""
    ends: int


def parts_of(answer: Tokens, first: int, last: int, passages: Sequence[Passage]) -> list[Part]:
    """The answer's tokens `first:last` as parts, each taken from one unit; none when the passages are empty."""
    units = [(passage, unit) for passage in passages for unit in passage.units]
    if not units or last <= first:
        return []
    mine = frozenset(pairwise(answer.keys[first:last]))
    shared = [len(mine & unit.bigrams) for _, unit in units]
    main = max(range(len(units)), key=lambda i: (shared[i], -len(units[i][1].bigrams)))
    chosen: list[int] = []
    clauses = answer.clauses(first, last)
    for a, b in clauses:
        own = frozenset(pairwise(answer.keys[a:b]))
        best = main
        if len(own) > 1:
            near = len(own & units[main][1].bigrams)
            if near < (1 - MUCH_BETTER) * len(own):
                scores = [len(own & unit.bigrams) for _, unit in units]
                top = max(range(len(units)), key=scores.__getitem__)
                if scores[top] >= near + max(2.0, MUCH_BETTER * len(own)):
                    best = top
        chosen.append(best)
    parts: list[Part] = []
    start = 0
    for i in range(1, len(clauses) + 1):
        if i == len(clauses) or chosen[i] != chosen[start]:
            passage, unit = units[chosen[start]]
            parts.append(_part(answer, clauses[start][0], clauses[i - 1][1], passage, unit))
            start = i
    return parts


def _part(answer: Tokens, first: int, last: int, passage: Passage, unit: Unit) -> Part:
    tokens = passage.tokens
    mine, theirs = answer.keys[first:last], tokens.keys[unit.first : unit.last]
    matcher = SequenceMatcher(None, mine, theirs, autojunk=False)
    blocks = _without_accidents(matcher.get_matching_blocks()[:-1], answer, first)
    kept = frozenset(first + block[0] + k for block in blocks for k in range(block[2]))
    begins = unit.first + blocks[0][1] if blocks else unit.first
    ends = unit.first + blocks[-1][1] + blocks[-1][2] if blocks else unit.first
    changes = []
    i = j = 0
    for a, b, size in [*blocks, (len(mine), len(theirs), 0)]:
        if (a, b) != (i, j):
            changes.append(Change(first + i, first + a, unit.first + j, unit.first + b))
        i, j = a + size, b + size
    bounds = (first, last)
    anchored = [new for change in changes for new in _anchored(answer, tokens, change, bounds)]
    settled = [_slid(answer, tokens, change, unit, bounds) for change in anchored]
    whole = _whole_words(answer, tokens, settled, unit, bounds)
    return Part(first, last, passage, unit, whole, kept, begins, ends)


def _without_accidents(
    blocks: Sequence[tuple[int, int, int]], answer: Tokens, first: int
) -> list[tuple[int, int, int]]:
    """Single characters that match between two that do not are accidents, unless they are a number."""
    return [block for block in blocks if block[2] > 1 or is_number(answer.keys[first + block[0]]) or len(blocks) == 1
            or _whole(answer, first + block[0])]  # fmt: skip


def _whole(tokens: Tokens, i: int) -> bool:
    """Whether token i is a word of its own."""
    word = tokens.word_of[i]
    return word >= 0 and tokens.words[word].last - tokens.words[word].first == 1


def _anchored(answer: Tokens, theirs: Tokens, change: Change, bounds: tuple[int, int]) -> list[Change]:
    """A change whose clause begins alike in a dropped clause and in the one it is from, tied to the latter.

    Passage: 债券发行、偿还，债券发行应当公开; answer: 债券发行要公开. 要 stands for 应当, not for all before it.
    """
    first, last, was_first, was_last = change
    start = first
    while start > bounds[0] and not answer.breaks[start]:
        start -= 1
    size = first - start
    run = answer.keys[start:first]
    if not size or theirs.keys[was_first - size : was_first] != run or not any(theirs.breaks[was_first + 1 : was_last]):
        return [change]
    for at in range(was_last - size, was_first - 1, -1):
        if theirs.keys[at : at + size] == run:
            return [Change(start, start, was_first - size, at), Change(first, last, at + size, was_last)]
    return [change]


def _slid(answer: Tokens, theirs: Tokens, change: Change, unit: Unit, bounds: tuple[int, int]) -> Change:
    """A pure deletion moved, where it may be moved, to begin and end at marks: a clause is what was dropped."""
    first, last, was_first, was_last = change
    if first == last:
        for step in _moves(theirs, was_first, was_last, unit.first, unit.last):
            a, b = first + step, was_first + step
            if bounds[0] <= a <= bounds[1] and theirs.breaks[b] and theirs.breaks[was_last + step]:
                return Change(a, a, b, was_last + step)
        for step in _moves(theirs, was_first, was_last, unit.first, unit.last):
            a, b = first + step, was_first + step
            if (
                bounds[0] <= a <= bounds[1]
                and any(theirs.breaks[b + 1 : was_last])
                and behind_a_mark(theirs, was_last + step)
            ):
                return Change(a, a, b, was_last + step)
    return change


def behind_a_mark(tokens: Tokens, i: int) -> bool:
    """Whether only a conjunction, if anything, stands between token i and the mark before it."""
    start = i
    while start > 0 and not tokens.breaks[start] and i - start < 2:
        start -= 1
    return bool(tokens.breaks[start]) and "".join(tokens.keys[start:i]) in _CONJUNCTIONS


def _moves(tokens: Tokens, first: int, last: int, low: int, high: int) -> list[int]:
    """By how much `first:last` can be moved so that what remains reads the same."""
    moves = [0]
    step = 0
    while first + step > low and tokens.keys[first + step - 1] == tokens.keys[last + step - 1]:
        step -= 1
        moves.append(step)
    step = 0
    while last + step < high and tokens.keys[first + step] == tokens.keys[last + step]:
        step += 1
        moves.append(step)
    return moves


def _whole_words(
    answer: Tokens, theirs: Tokens, changes: Sequence[Change], unit: Unit, bounds: tuple[int, int]
) -> tuple[Change, ...]:
    """Changes grown to the borders of words on both sides, those that touch then being one: 北|京市 becomes 北京市."""
    grown: list[Change] = []
    for a, b, c, d in changes:
        first, last, was_first, was_last = a, b, c, d
        while (
            first > bounds[0] and was_first > unit.first
            and (_inside(answer, first) or _inside(theirs, was_first))
            and answer.keys[first - 1] == theirs.keys[was_first - 1]
        ):  # fmt: skip
            first, was_first = first - 1, was_first - 1
        while (
            last < bounds[1] and was_last < unit.last
            and (_inside(answer, last) or _inside(theirs, was_last))
            and answer.keys[last] == theirs.keys[was_last]
        ):  # fmt: skip
            last, was_last = last + 1, was_last + 1
        if grown and (first < grown[-1].last or was_first < grown[-1].was_last):
            before = grown.pop()
            first, was_first = before.first, before.was_first
            last, was_last = max(last, before.last), max(was_last, before.was_last)
        grown.append(Change(first, last, was_first, was_last))
    return tuple(grown)


def _inside(tokens: Tokens, i: int) -> bool:
    """Whether the border before token i runs through a word."""
    return 0 < i < len(tokens.word_of) and tokens.word_of[i] == tokens.word_of[i - 1] >= 0 and not tokens.breaks[i]
