"""How each sentence of the evidence bears on a question: numbers between 0 and 1. Pure functions.

No model looks at the words: what counts is which words of the question a sentence holds (weighed by idf), whether it
shows what the question asks for, and what stands before it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from rag_server.quoting.asked import KINDS, Asked, Kind, holds_noun, shown, what_is_asked
from rag_server.sentences import Sentence, cut_sentences
from rag_server.turn import Evidence
from service_kit.passages.analysis import fold, question_terms

SCAFFOLD_WEIGHT = 0.1
"""Weight of the words by which a question is built: they decide only between sentences that are alike otherwise."""
WINDOW = 15
"""Characters on either side of a date, number, … in which the question's words count as near it."""
MOST_SHOWN = 12
"""Dates, numbers, … of one sentence that are looked at."""
LONG = 200
"""Characters from which a sentence is just long."""

_SCAFFOLD = re.compile(
    r"应当|应该|可以|可否|能否|能不能|必须|需要|是否|有没有|通过|用于|用来|拿来|进行|有关|规定|情况|\b(?:can|may|must|should|shall|the|of|an?|for|to|in|by)\b",
    re.IGNORECASE,
)
_LED = re.compile(r"(?:通过|按照|根据|依据|依照|由|以|用|靠|按|向|从)(?=什么|哪|谁|何)")
_SPACE = re.compile(r"[\s，。？！、；：,.?!;:（）()《》“”\"「」『』]+")
_WORD = re.compile(r"[a-z0-9_]+")
_KEPT = 512
"""Questions and passages whose analysis is kept: the stages of a turn look at the same ones, a turn for each thread."""

Signals = Mapping[str, float]
NAMES: tuple[str, ...] = (
    "own", "titled", "carried", "near", "nearest", "run", "noun", "beside", "first", "length", *KINDS
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Words:
    """The words of one question with their weights, and what it asks for."""

    question: str
    weight: Mapping[str, float]
    total: float
    near: frozenset[str]
    """The words beside the question word."""
    asked: Asked
    latin: frozenset[str]
    """Those of the words that are no Chinese: they stand in a text as whole words only."""
    han: tuple[str, ...]
    pieces: tuple[str, ...]
    """The question without its question words, white space and punctuation, folded."""
    led: str
    """The word behind which the answer is to stand: 通过 of 通过什么."""

    @classmethod
    def of(cls, question: str, idf: Mapping[str, float]) -> "Words":
        """A term without an idf is in no passage: no sentence can match it, and it weighs nothing."""
        return _words_of(question, tuple(idf.items()))

    def found_in(self, text: str) -> frozenset[str]:
        """The question's words that `text` holds."""
        folded = fold(text)
        found = frozenset([term for term in self.han if term in folded])
        return found | self.latin.intersection(_WORD.findall(folded)) if self.latin else found

    def share(self, terms: Iterable[str]) -> float:
        """How much of the question `terms` are, by weight."""
        return sum([self.weight[term] for term in terms]) / self.total


@lru_cache(maxsize=_KEPT)
def _words_of(question: str, idf: tuple[tuple[str, float], ...]) -> Words:
    every, known = set(question_terms(question)), dict(idf)
    about = set(question_terms(_SCAFFOLD.sub(" ", question))) & every or every
    weight = {term: known.get(term, 0.0) * (1.0 if term in about else SCAFFOLD_WEIGHT) for term in every}
    asked = what_is_asked(question)
    return Words(
        question,
        weight,
        total=sum(weight.values()) or 1.0,
        near=frozenset(question_terms(asked.around)) & every if asked.around else frozenset(),
        asked=asked,
        latin=frozenset(filter(str.isascii, weight)),
        han=tuple(term for term in weight if not term.isascii()),
        pieces=tuple(map(_bare, asked.pieces)),
        led=led.group() if (led := _LED.search(question)) else "",
    )


@dataclass(frozen=True)
class Candidate:
    """One sentence of the evidence that may answer."""

    evidence: Evidence
    sentence: Sentence
    terms: frozenset[str]
    signals: Signals


def candidates(words: Words, evidence: Iterable[Evidence]) -> list[Candidate]:
    """Every sentence of the evidence with its signals:

    own      the question's words in the sentence, those of the title aside: the whole passage is about these
    titled   the title's words in the sentence
    carried  words that the sentence before has and this one not: 他, 该办法 and the like stand for them
    near     the words beside the question word; `nearest`: against the sentence that has most of them
    run      the longest piece of the question that stands in the sentence as it is
    noun     it holds what the question chooses from or counts (哪家公司, 多少公里)
    beside   the question's words within WINDOW of a date, number, … that the question asks for
    first    it opens its passage
    length   characters, by LONG
    date, number, …  asked for, and the sentence shows one that the question does not
    led      it holds the word behind which the answer is to stand (通过什么)
    title    the question's words in the passage's title, whole: in all of it; the same for all its sentences
    """
    found = [candidate for one in evidence for candidate in _candidates_in(words, one)]
    most = max([c.signals["near"] for c in found], default=0.0) or 1.0
    return [
        Candidate(c.evidence, c.sentence, c.terms, {**c.signals, "nearest": c.signals["near"] / most}) for c in found
    ]


@lru_cache(maxsize=_KEPT)
def _candidates_in(words: Words, one: Evidence) -> tuple[Candidate, ...]:
    """The sentences of one passage; their signals lack `nearest`, which depends on the other passages."""
    in_title, before = words.found_in(one.title), frozenset[str]()
    about = {"title": words.share(in_title), "whole": words.share(in_title | words.found_in(one.text))}
    found = []
    for sentence in cut_sentences(one.text):
        terms = words.found_in(sentence.text)
        signals = _signals(words, sentence, terms, in_title, before) | about
        found.append(Candidate(one, sentence, terms, signals))
        before = terms
    return tuple(found)


def _signals(
    words: Words, sentence: Sentence, terms: frozenset[str], in_title: frozenset[str], before: frozenset[str]
) -> dict[str, float]:
    text = sentence.text
    kinds, beside = _kinds_shown(words, text)
    return {
        "own": words.share(terms - in_title),
        "titled": words.share(terms & in_title),
        "carried": words.share(before - terms - in_title),
        "near": sum([words.weight[term] for term in words.near & terms])
        / (sum([words.weight[term] for term in words.near]) or 1.0),
        "run": longest_run(words.pieces, text),
        "noun": float(holds_noun(words.asked, text)),
        "beside": beside,
        "led": float(bool(words.led) and words.led in text),
        "first": float(sentence.start == 0),
        "length": min(1.0, len(text) / LONG),
        **{kind: float(kind in kinds) for kind in KINDS},
    }


def _kinds_shown(words: Words, text: str) -> tuple[frozenset[Kind], float]:
    """The kinds asked for that `text` shows, and how many of the question's words stand beside the best of them."""
    kinds: set[Kind] = set()
    beside = 0.0
    for kind in words.asked.kinds:
        new = [match for match in shown(kind, text) if match.group() not in words.question]
        if new:
            kinds.add(kind)
        for match in new[:MOST_SHOWN]:
            window = text[max(0, match.start() - WINDOW) : match.end() + WINDOW]
            beside = max(beside, words.share(words.found_in(window)))
    return frozenset(kinds), beside


def _bare(text: str) -> str:
    return _SPACE.sub("", fold(text))


def longest_run(pieces: Iterable[str], text: str) -> float:
    """Length of the longest run of characters that a piece of the question shares with `text`, by the longest piece's
    length; punctuation and space of `text` aside.

    >>> longest_run(["铁路全长", "公里"], "该铁路长364公里")
    0.5
    """
    bare = _bare(text)
    longest, best = 4, 0
    for piece in pieces:
        longest = max(longest, len(piece))
        for start in range(len(piece)):
            while start + best < len(piece) and piece[start : start + best + 1] in bare:
                best += 1
    return best / longest if best else 0.0
