"""Whether what was changed between a passage and a sentence of the answer changes what is said."""

import re
from collections.abc import Collection, Iterator, Sequence

from rag_server.checks.align import Change, Part, behind_a_mark
from rag_server.checks.passage import Passage
from rag_server.checks.stance import stances
from rag_server.checks.tokens import SOFT, STRONG, Tokens, Word, is_number
from rag_server.checks.words import (
    COUNTERS,
    NOUN_TAGS,
    SOFT_TAGS,
    content,
    is_name,
    numbers_in,
    points_back,
    same_counter,
    same_meaning,
    words_in,
)
from service_kit.words import Words

LONGEST_NARROWING = 7
"""Characters."""
CLOSE = 0.6
"""A clause of which at least this share stands in the passage is a copy: a word that differs is a changed fact."""
_IN_BRACKETS = re.compile(r"\([^()]*\)")
LONGEST_SUBJECT = 12
"""Tokens that may be put before a sentence to say of whom it speaks."""


def judge(answer: Tokens, parts: Sequence[Part], marks: str) -> Words | None:
    """Why the parts do not support the answer; None when they do. `marks` names the passages, such as [1]."""
    for part in parts:
        for change in part.changes:
            reason = _judge_change(answer, part, change, marks)
            if reason:
                return reason
    return _joined(answer, parts, marks)


def _judge_change(answer: Tokens, part: Part, change: Change, marks: str) -> Words | None:
    theirs = part.passage.tokens
    dropped = list(_dropped(theirs, part, change))
    new = words_in(answer, change.first, change.last)
    old = [word for first, last in dropped for word in words_in(theirs, first, last)]
    for i in numbers_in(answer, change.first, change.last):
        old_numbers = {theirs.keys[j] for a, b in dropped for j in numbers_in(theirs, a, b)}
        if answer.keys[i] not in old_numbers:
            if not old_numbers and answer.keys[i] in _where_it_may_be(answer, part, change):
                continue
            return number_reason(answer.text(i, i + 1), marks)
    counter = _other_counter(answer, theirs, change)
    if counter:
        return _word_reason(*counter, marks)
    said, meant = stances(new), stances(old)
    if behind_a_mark(theirs, change.was_last) and not (answer.breaks[change.first] or answer.breaks[change.last]):
        meant.clear()  # 甲应当丙，不得丁 -> 甲不得丁: what was said first went as a whole
    if not said["all"]:
        del meant["all"]  # what holds for any holds for one
    if said != meant:
        return _stance_reason(
            "".join(w.text for w in new if stances([w])), "".join(w.text for w in old if stances([w])), marks
        )
    old_text = "".join(theirs.text(a, b) for a, b in dropped)
    if change.first == change.last and _narrowed(old_text, old):
        return dropped_reason(old_text, marks)
    return _judge_words(answer, part, change, (new, old, old_text), marks)


def _narrowed(dropped: str, words: Sequence[Word]) -> bool:
    """Whether what was left out alone says of what part the sentence holds: 债务的本金 -> 债务."""
    return dropped.startswith("的") and 1 < len(dropped) <= LONGEST_NARROWING and bool(content(words))


def _other_counter(answer: Tokens, theirs: Tokens, change: Change) -> tuple[str, str] | None:
    """What is counted and what was counted, when the same number counts another thing: 21,000户 for 21,000人."""
    i, j = change.first, change.was_first
    if not (0 < i < change.last and 0 < j < change.was_last) or answer.breaks[i] or theirs.breaks[j]:
        return None
    if not is_number(answer.keys[i - 1]) or answer.keys[i - 1] != theirs.keys[j - 1]:
        return None
    mine, was = answer.keys[i], theirs.keys[j]
    return (mine, was) if {mine, was} <= COUNTERS and not same_counter(mine, was) else None


def _where_it_may_be(answer: Tokens, part: Part, change: Change) -> Collection[str]:
    """The tokens among which a number that was put in must be: in a copy, those of its own sentence and the facts."""
    passage = part.passage
    if not _is_close(answer, part, change):
        return passage.keys
    return {*passage.tokens.keys[part.unit.first : part.unit.last], *passage.facts.keys}


def _judge_words(
    answer: Tokens,
    part: Part,
    change: Change,
    sides: tuple[Sequence[Word], Sequence[Word], str],
    marks: str,
) -> Words | None:
    new, old, old_text = sides
    claims, were = content(new), content(old)
    if not claims or answer.text(change.first, change.last) == old_text:
        return None
    close = _is_close(answer, part, change)
    for word in claims:
        if same_meaning(word, were) or (len(word.text) > 1 and old_text.endswith(word.text)):
            continue
        known = stands_in(answer, word.first, word.last, part.passage)
        if known and (points_back(old, old_text) or (not were and stands_in_facts(answer, word, part.passage))):
            continue
        if were and close:
            return _word_reason(word.text, "".join(w.text for w in were), marks)
        if not known and is_name(word):
            return missing_reason(word.text, marks)
        if known and close and _is_foreign(answer, word, part) and not _only_leads(answer, part, change):
            return _elsewhere_reason(word.text, marks)
    return None


def _is_foreign(answer: Tokens, word: Word, part: Part) -> bool:
    """Whether a word that was put in can change what is said: nouns wherever they are from, others from elsewhere."""
    if word.tag.startswith(NOUN_TAGS):
        return True
    keys = part.passage.tokens.keys[part.unit.first : part.unit.last]
    return not word.tag.startswith(SOFT_TAGS) and not set(answer.keys[word.first : word.last]) <= set(keys)


def _only_leads(answer: Tokens, part: Part, change: Change) -> bool:
    """Whether what was put in leads the sentence: a clause before it, or of whom it speaks, as the passage begins."""
    if change.first == part.first and answer.breaks[change.last]:
        return True
    row = answer.keys[change.first : change.last]
    if not answer.breaks[change.first] or part.begins > part.unit.first + 1 or len(row) > LONGEST_SUBJECT:
        return False
    keys = part.passage.tokens.keys
    return any(keys[unit.first : unit.first + len(row)] == row for unit in part.passage.units)


def stands_in_facts(answer: Tokens, word: Word, passage: Passage) -> bool:
    """Whether a word stands in the title or what else is known of a passage."""
    return f" {' '.join(answer.keys[word.first : word.last])} " in passage.facts.joined


def stands_in(answer: Tokens, first: int, last: int, passage: Passage) -> bool:
    """Whether these tokens stand side by side in the passage or in what is known of it."""
    row = f" {' '.join(answer.keys[first:last])} "
    return row in passage.tokens.joined or row in passage.facts.joined


def _is_close(answer: Tokens, part: Part, change: Change) -> bool:
    """Whether the clauses around a change are a copy otherwise."""
    first, last = change.first, change.last
    while first > part.first and not answer.breaks[first]:
        first -= 1
    while last < part.last and not answer.breaks[last]:
        last += 1
    outside = [*range(first, change.first), *range(change.last, last)]
    if len(outside) < 2:
        outside = [*range(part.first, change.first), *range(change.last, part.last)]
    kept = sum(i in part.kept for i in outside)
    return len(outside) >= 2 and kept >= CLOSE * len(outside)


def _dropped(theirs: Tokens, part: Part, change: Change) -> Iterator[tuple[int, int]]:
    """What of the passage the change replaces: whole clauses that were left out are not counted."""
    for first, last in theirs.clauses(change.was_first, change.was_last):
        begins = first == part.unit.first or theirs.breaks[first] > 0
        ends = last == part.unit.last or theirs.breaks[last] > 0
        if not (begins and ends):
            yield first, last
        elif change.last > change.first and change.was_last - change.was_first == last - first:
            yield first, last  # one clause stands for another


def _joined(answer: Tokens, parts: Sequence[Part], marks: str) -> Words | None:
    """Whether clauses of different sentences were joined into one that the passage does not say."""
    if len(parts) > 1 and not all(_is_whole(part) for part in parts):
        return splice_reason(marks)
    for part in parts:
        theirs = part.passage.tokens
        for change in part.changes:
            if change.first > part.first and change.last < part.last and _skips_a_border(answer, theirs, change):
                return splice_reason(marks)
    return None


def _is_whole(part: Part) -> bool:
    """Whether a part runs from the beginning of its sentence to its end."""
    return part.begins - part.unit.first <= 2 and part.unit.last - part.ends <= 2


def _skips_a_border(answer: Tokens, theirs: Tokens, change: Change) -> bool:
    """Whether what was left out begins within one clause and ends within another one.

    Where the answer has a mark of its own at that place, only semicolons count: it left out clauses, then.
    """
    was = theirs.text(change.was_first, change.was_last)
    if _IN_BRACKETS.sub("", was) == answer.text(change.first, change.last):
        return False  # 外交(领事)机构 -> 外交机构
    least = STRONG if answer.breaks[change.last] else SOFT
    borders = [i for i in range(change.was_first, change.was_last + 1) if theirs.breaks[i] >= least]
    return (
        bool(borders)
        and change.was_first not in borders
        and not (change.was_last in borders or (least == SOFT and behind_a_mark(theirs, change.was_last)))
    )


def number_reason(number: str, marks: str) -> Words:
    """A number that the passages do not have there."""
    number = number.strip()
    return Words(f"未核实：数字“{number}”不在{marks}中", f"not verified: “{number}” is not in {marks}")


def dropped_reason(text: str, marks: str) -> Words:
    """Without these words the sentence holds of more than the passage says."""
    return Words(f"未核实：{marks}说的只是“…{text}”", f"not verified: {marks} says this of “…{text}” only")


def missing_reason(word: str, marks: str) -> Words:
    """A word that the passages do not have."""
    return Words(f"未核实：“{word}”不在{marks}中", f"not verified: “{word}” is not in {marks}")


def _elsewhere_reason(word: str, marks: str) -> Words:
    return Words(
        f"未核实：“{word}”在{marks}中不在这句话里", f"not verified: {marks} does not have “{word}” in this place"
    )


def splice_reason(marks: str) -> Words:
    """Clauses from different sentences."""
    return Words(f"未核实：由{marks}中不同的句子拼接而成", f"not verified: joined from different sentences of {marks}")


def _word_reason(word: str, was: str, marks: str) -> Words:
    return Words(f"未核实：“{word}”在{marks}中是“{was}”", f"not verified: for “{word}” {marks} has “{was}”")


def _stance_reason(said: str, meant: str, marks: str) -> Words:
    if said and meant:
        return Words(f"未核实：“{said}”在{marks}中是“{meant}”", f"not verified: for “{said}” {marks} has “{meant}”")
    if said:
        return Words(f"未核实：{marks}中没有“{said}”", f"not verified: {marks} does not say “{said}”")
    return Words(f"未核实：漏掉了{marks}中的“{meant}”", f"not verified: leaves out “{meant}” of {marks}")
