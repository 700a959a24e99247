"""A passage as sentences are compared with it."""

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from rag_server.checks.tokens import FULL, Tokens, fold, tokenise
from rag_server.turn import Evidence


class Unit(NamedTuple):
    """A sentence of a passage, a list with its introduction being one: its tokens are `first` to `last`."""

    first: int
    last: int
    bigrams: frozenset[tuple[str, str]]


class Passage(NamedTuple):
    """One numbered passage: its text in sentences, and what else is known of it (title, 文号, date, path)."""

    n: int
    title: str
    """Folded, without 《》 and the name of the state."""
    tokens: Tokens
    units: tuple[Unit, ...]
    facts: Tokens
    """The tokens of title, 文号, date, path and file name."""
    keys: frozenset[str]
    """Every token of text and facts."""
    articles: frozenset[str]
    """Which articles (第…条) it is, as far as its path and the beginnings of its sentences say."""


def read_passage(evidence: Evidence) -> Passage:
    """The passage of one piece of evidence."""
    facts = [evidence.title, evidence.doc_no, evidence.date, evidence.repealed, evidence.path, evidence.source]
    return _read(evidence.n, evidence.title, evidence.text, "\n".join(fact for fact in facts if fact))


@lru_cache(maxsize=256)
def in_form(passage: Passage, form: Callable[[str], str]) -> Passage:
    """The passage with its folded text in another form: itself where that changes nothing."""
    text = form(passage.tokens.folded)
    return passage if text == passage.tokens.folded else _read(passage.n, passage.title, text, passage.facts.folded)


@lru_cache(maxsize=256)
def _read(n: int, title: str, text: str, facts: str) -> Passage:
    tokens, known = tokenise(text), tokenise(facts)
    units = []
    for first, last in tokens.clauses(0, len(tokens.keys), FULL):
        units.append(Unit(first, last, frozenset(pairwise(tokens.keys[first:last]))))
    name = title.strip("《》 ").removeprefix("中华人民共和国")
    starts = [(known.keys, i) for i in range(len(known.keys))] + [(tokens.keys, unit.first) for unit in units]
    articles = frozenset(keys[i] for keys, i in starts if keys[i].startswith("#第") and keys[i + 1 : i + 2] == ("条",))
    return Passage(n, fold(name), tokens, tuple(units), known, frozenset(tokens.keys + known.keys), articles)
