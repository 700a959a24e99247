"""Whether what was changed between a passage and a sentence of the answer changes what is said."""

from collections.abc import Iterator, Sequence

from rag_server.checks.align import Change, Part
from rag_server.checks.passage import Passage
from rag_server.checks.stance import stances
from rag_server.checks.tokens import STRONG, Tokens, Word
from rag_server.checks.words import content, is_name, numbers_in, points_back, same_meaning, words_in
from service_kit.words import Words

CLOSE = 0.6
"""A clause of which at least this share stands in the passage is a copy: a word that differs in it is a changed fact."""


def judge(answer: Tokens, parts: Sequence[Part], marks: str) -> Words | None:
    """Why the parts do not support the answer; None when they do. `marks` names the passages, such as [1]."""
    for part in parts:
        for change in part.changes:
            reason = _judge_change(answer, part, change, marks)
            if reason:
                return reason
    return _joined(parts, marks)


def _judge_change(answer: Tokens, part: Part, change: Change, marks: str) -> Words | None:
    theirs = part.passage.tokens
    dropped = list(_dropped(theirs, part, change))
    new = words_in(answer, change.first, change.last)
    old = [word for first, last in dropped for word in words_in(theirs, first, last)]
    for i in numbers_in(answer, change.first, change.last):
        old_numbers = {theirs.keys[j] for a, b in dropped for j in numbers_in(theirs, a, b)}
        if answer.keys[i] not in old_numbers:
            if not old_numbers and answer.keys[i] in part.passage.keys:
                continue
            return number_reason(answer.text(i, i + 1), marks)
    if change.first == change.last and not answer.breaks[change.first] and theirs.breaks[change.was_last]:
        return None  # 甲应当丙，不得丁 -> 甲不得丁: what was said first went as a whole
    said, meant = stances(new), stances(old)
    if said != meant:
        return _stance_reason(
            "".join(w.text for w in new if stances([w])), "".join(w.text for w in old if stances([w])), marks
        )
    old_text = "".join(theirs.text(a, b) for a, b in dropped)
    return _judge_words(answer, part, change, (new, old, old_text), marks)


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
    back = points_back(old, old_text) or not were
    for word in claims:
        if same_meaning(word, were) or word.text in old_text and len(word.text) > 1 and old_text.endswith(word.text):
            continue
        known = set(answer.keys[word.first : word.last]) <= part.passage.keys and stands_in(
            answer, word.first, word.last, part.passage
        )
        if back and known:
            continue
        if were and _is_close(answer, part, change):
            return _word_reason(word.text, "".join(w.text for w in were), marks)
        if not known and is_name(word):
            return missing_reason(word.text, marks)
    return None


def stands_in(answer: Tokens, first: int, last: int, passage: Passage) -> bool:
    """Whether these tokens stand side by side in the passage or in what is known of it."""
    row = f" {' '.join(answer.keys[first:last])} "
    return row in passage.tokens.joined or row in passage.facts.joined


def _is_close(answer: Tokens, part: Part, change: Change) -> bool:
    """Whether the clause around a change is a copy otherwise."""
    first, last = clause_around(answer, change.first, part)
    outside = [i for i in range(first, last) if not change.first <= i < change.last]
    kept = sum(i in part.kept for i in outside)
    return len(outside) >= 2 and kept >= CLOSE * len(outside)


def clause_around(answer: Tokens, i: int, part: Part) -> tuple[int, int]:
    """The clause that token i lies in."""
    first = min(i, part.last - 1)
    while first > part.first and not answer.breaks[first]:
        first -= 1
    last = i + 1
    while last < part.last and not answer.breaks[last]:
        last += 1
    return first, last


def _dropped(theirs: Tokens, part: Part, change: Change) -> Iterator[tuple[int, int]]:
    """What of the passage the change replaces: whole clauses that were left out are not counted."""
    for first, last in theirs.clauses(change.was_first, change.was_last):
        begins = first == part.unit.first or theirs.breaks[first] > 0
        ends = last == part.unit.last or theirs.breaks[last] > 0
        if not (begins and ends):
            yield first, last
        elif change.last > change.first and change.was_last - change.was_first == last - first:
            yield first, last  # one clause stands for another


def _joined(parts: Sequence[Part], marks: str) -> Words | None:
    """Whether clauses of different sentences were joined into one that the passage does not say."""
    if len(parts) > 1 and not all(_is_whole(part) for part in parts):
        return splice_reason(marks)
    for part in parts:
        theirs = part.passage.tokens
        for change in part.changes:
            if change.first > part.first and change.last < part.last and _skips_a_border(theirs, change):
                return splice_reason(marks)
    return None


def _is_whole(part: Part) -> bool:
    """Whether a part runs from the beginning of its sentence to its end."""
    return part.begins - part.unit.first <= 2 and part.unit.last - part.ends <= 2


def _skips_a_border(theirs: Tokens, change: Change) -> bool:
    """Whether what was left out begins within one of the stretches between semicolons and ends within another."""
    borders = [i for i in range(change.was_first, change.was_last + 1) if theirs.breaks[i] >= STRONG]
    return bool(borders) and change.was_first not in borders and change.was_last not in borders


def number_reason(number: str, marks: str) -> Words:
    """A number that the passages do not have there."""
    return Words(f"未核实：数字“{number}”不在{marks}中", f"not verified: “{number}” is not in {marks}")


def missing_reason(word: str, marks: str) -> Words:
    """A word that the passages do not have."""
    return Words(f"未核实：“{word}”不在{marks}中", f"not verified: “{word}” is not in {marks}")


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
