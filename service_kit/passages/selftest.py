"""Probes of a self-test that every engine has. Pure functions."""

from collections.abc import Sequence

from service_kit.passages.analysis import question_terms
from service_kit.passages.index import Hit, Probe
from service_kit.passages.passage import Passage
from service_kit.words import Words

KNOWN_SENTENCE = "地方政府专项债券应当怎么偿还？"
KNOWN_TERMS = ("地方", "政府", "债券", "偿还", "专项")
LEFT_OUT = ("怎么", "？")
QUESTION_LENGTH = 500
"""Characters of a known passage that it is searched by."""
DEPTH = 5
"""The known passage must be among so many: others may hold the same words."""


def probe(name: str, *, ok: bool, words: Words) -> Probe:
    """Both languages: a self-test is read by people and kept in logs."""
    return Probe(name=name, ok=ok, message=f"{words.zh} / {words.en}")


def probe_analysis() -> Probe:
    """A known sentence is cut into Chinese words, and words that only ask are left out."""
    terms = question_terms(KNOWN_SENTENCE)
    ok = set(KNOWN_TERMS) <= set(terms) and not set(LEFT_OUT) & set(terms)
    good = Words("中文分词正常", "Chinese is cut into words")
    bad = Words(f"中文分词异常：{terms}；请重新安装依赖", f"Chinese is not cut as it should be: {terms}; install anew")
    return probe("analysis", ok=ok, words=good if ok else bad)


def own_question(passage: Passage) -> str:
    """The question that `probe_found` is about."""
    return passage.content[:QUESTION_LENGTH]


def probe_found(known: Passage, hits: Sequence[Hit]) -> Probe:
    """A passage of the index, searched by its own words, is among the first DEPTH hits; a passage without any letter
    or digit can not be searched and passes."""
    ok = any(hit.id == known.id for hit in hits[:DEPTH]) or not question_terms(own_question(known))
    title = known.title[:40]
    good = Words(f"已知段落可检索到：{title}", f"A known passage is found: {title}")
    bad = Words(
        f"已知段落检索不到：{title}；请重建索引（python -m es_index 目录）",
        f"A known passage is not found: {title}; index anew (python -m es_index DIR)",
    )
    return probe("search", ok=ok, words=good if ok else bad)
