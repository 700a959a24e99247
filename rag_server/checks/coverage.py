"""How many of a sentence's words the passage has, weighted by how rare they are."""

from collections.abc import Mapping, Sequence

from rag_server.checks.align import Part
from rag_server.checks.judge import stands_in
from rag_server.checks.tokens import Tokens, Word
from rag_server.checks.words import same_meaning, words_in

SINGLE_CHARACTER = 0.5
"""Weight of words of one character against longer ones: most of them say little."""


def coverage(
    answer: Tokens, words: Sequence[Word], parts: Sequence[Part], idf: Mapping[str, float]
) -> tuple[str, float]:
    """The first of `words` that no passage has, and the share of their weight that the passages have (0 to 1).

    A word counts as had when the passage has it anywhere, or a synonym in the sentence that the part is from. Words
    that `idf` lacks weigh as much as its median.
    """
    usual = sorted(idf.values())[len(idf) // 2] if idf else 1.0
    total = had = 0.0
    missing = ""
    for word in words:
        weight = idf.get(word.text, usual) * (1.0 if len(word.text) > 1 else SINGLE_CHARACTER)
        total += weight
        if any(stands_in(answer, word.first, word.last, part.passage) or _has_the_like(word, part) for part in parts):
            had += weight
        else:
            missing = missing or word.text
    return missing, had / total if total else 1.0


def _has_the_like(word: Word, part: Part) -> bool:
    return same_meaning(word, words_in(part.passage.tokens, part.unit.first, part.unit.last))
