"""How many of a sentence's words the passage has, weighted by how rare they are."""

from collections.abc import Mapping, Sequence

from rag_server.checks.align import Part
from rag_server.checks.judge import stands_in
from rag_server.checks.tokens import Tokens, Word
from rag_server.checks.words import content, same_meaning, words_in

SINGLE_CHARACTER = 0.5
"""Weight of words of one character against longer ones: most of them say little."""
LEAST_OF_A_CLAUSE = 0.5
"""Share of the words of a later clause, weighted alike, that the passages must have; a first clause may lead in."""


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


def unsupported_clause(answer: Tokens, first: int, parts: Sequence[Part], idf: Mapping[str, float]) -> str:
    """A word that no passage has, of a clause behind the first that mostly has such words; empty when there is none.

    Over a long sentence such a clause hardly lowers the coverage, though it is another claim.
    """
    for a, b in answer.clauses(first, len(answer.keys))[1:]:
        words = content(words_in(answer, a, b))
        if len(words) > 1:
            missing, share = coverage(answer, words, parts, idf)
            if share < LEAST_OF_A_CLAUSE:
                return missing
    return ""


def _has_the_like(word: Word, part: Part) -> bool:
    return same_meaning(word, words_in(part.passage.tokens, part.unit.first, part.unit.last))
