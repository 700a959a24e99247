"""Finds the sentences that answer: pure functions over the question's words and the evidence."""

import re
from collections.abc import Mapping

from rag_server.sentences import Sentence, cut_sentences
from rag_server.turn import Evidence, Quote
from service_kit.passages.analysis import question_terms, sentence_terms

MOST_QUOTES = 3
MOST_CHARACTERS = 160
LEAST_OF_BEST = 0.5
"""A further sentence must match at least this share of what the best one matches."""
LATER_PASSAGE = 0.9
"""Weight of a passage below the first: the search saw more of it than one sentence shows."""
SCAFFOLD_WEIGHT = 0.1
"""Weight of the words by which a question is built: they decide only between sentences that are alike otherwise."""
RIGHT_KIND = 1.25
"""Weight of a sentence that has the kind of thing the question asks for."""

_SCAFFOLD = re.compile(
    r"应当|应该|可以|可否|能否|能不能|必须|需要|是否|有没有|通过|用于|用来|拿来|进行|有关|规定|情况|\b(?:can|may|must|should|shall|the|of|an?|for|to|in|by)\b",
    re.IGNORECASE,
)

_KINDS = (
    (re.compile(r"何时|什么时候|哪一?年|哪天|日期|期限|多久|多长时间|几日|when\b|what (?:date|year)", re.IGNORECASE),
     re.compile(r"\d+\s*[年月日]|[一二三四五六七八九十]+[年月日]|(?:个工作日|之日|届满)|\b(?:19|20)\d\d\b")),
    (re.compile(r"多少|几(?:个|种|项|级|类)?|比例|how (?:many|much)", re.IGNORECASE),
     re.compile(r"\d|[百千万亿]|百分之|[一二三四五六七八九十]+[个种项级类]|%")),
    (re.compile(r"谁|哪个部门|哪些部门|哪个机关|什么部门|who\b", re.IGNORECASE),
     re.compile(r"[省市县]|财政部|国务院|部门|机关|政府|委员会|人民代表大会|by\b", re.IGNORECASE)),
    (re.compile(r"什么是|是什么|何为|是指|定义|含义|what (?:is|are)\b", re.IGNORECASE),
     re.compile(r"是指|指的是|包括|所称|，是|\b(?:is|are|means|refers to)\b", re.IGNORECASE)),
)  # fmt: skip


def find_quotes(question: str, evidence: tuple[Evidence, ...], idf: Mapping[str, float]) -> tuple[Quote, ...]:
    """One to MOST_QUOTES sentences that answer `question`, in reading order; empty when none shares a word with it.

    Greedy: the sentence that covers most of the question's words (weighted by idf), then whichever adds most to it.
    """
    words = _Weights.of(question, idf)
    pool = [(e, sentence, words.matched(sentence)) for e in evidence for sentence in cut_sentences(e.text)]
    chosen: list[tuple[Evidence, Sentence, float]] = []
    covered: frozenset[str] = frozenset()
    best = 0.0
    while pool and len(chosen) < MOST_QUOTES:
        # Half for what it says, half for what no chosen sentence says yet: the answer may need two that are alike.
        gains = [
            (words.score(sentence, terms) + words.score(sentence, terms - covered))
            / 2
            * (1.0 if e.n == 1 else LATER_PASSAGE)
            for e, sentence, terms in pool
        ]
        top = max(range(len(pool)), key=lambda i: gains[i])
        e, sentence, terms = pool.pop(top)
        length = sum(len(s.text) for _, s, _ in chosen) + len(sentence.text)
        if gains[top] <= 0 or gains[top] < best * LEAST_OF_BEST or (chosen and length > MOST_CHARACTERS):
            break
        best = best or gains[top]
        covered |= terms
        chosen.append((e, sentence, words.share(terms)))
    quotes = (Quote(e.n, s.start, s.end, s.text, coverage) for e, s, coverage in chosen)
    return tuple(sorted(quotes, key=lambda quote: (quote.n, quote.start)))


def nearest_sentence(question: str, evidence: Evidence, idf: Mapping[str, float]) -> Quote | None:
    """The sentence of one passage that is nearest to the question; None for a passage without a sentence."""
    words = _Weights.of(question, idf)
    scored = [(words.score(s, words.matched(s)), s) for s in cut_sentences(evidence.text)]
    if not scored:
        return None
    _, s = max(scored, key=lambda pair: pair[0])
    return Quote(evidence.n, s.start, s.end, s.text, words.share(words.matched(s)))


class _Weights:
    """How much each word of one question counts."""

    def __init__(self, weight: Mapping[str, float], wanted: tuple[re.Pattern[str], ...]) -> None:
        self._weight = weight
        self._total = sum(weight.values()) or 1.0
        self._wanted = wanted

    @classmethod
    def of(cls, question: str, idf: Mapping[str, float]) -> "_Weights":
        every = set(question_terms(question))
        about = set(question_terms(_SCAFFOLD.sub(" ", question))) & every or every
        # A term that es_search did not weigh is in no passage: no sentence can match it.
        weight = {term: idf.get(term, 0.0) * (1.0 if term in about else SCAFFOLD_WEIGHT) for term in every}
        wanted = tuple(shows for asks, shows in _KINDS if asks.search(question))
        return cls(weight, wanted)

    def matched(self, sentence: Sentence) -> frozenset[str]:
        return frozenset(sentence_terms(sentence.text)) & self._weight.keys()

    def score(self, sentence: Sentence, terms: frozenset[str]) -> float:
        right_kind = any(shows.search(sentence.text) for shows in self._wanted)
        return sum(self._weight[term] for term in terms) * (RIGHT_KIND if right_kind else 1.0)

    def share(self, terms: frozenset[str]) -> float:
        return sum(self._weight[term] for term in terms) / self._total
