"""What embedding models want written before a text. Pure functions.

Models for retrieval are trained with these words, each family with its own (from their model cards); without them the
vectors of questions and passages do not meet where they should.
"""

from typing import NamedTuple


class Prefixes(NamedTuple):
    """Written before a question and before a window."""

    query: str
    passage: str


_FAMILIES = (
    ("e5-mistral", Prefixes("Instruct: Given a web search query, retrieve relevant passages\nQuery: ", "")),
    ("e5", Prefixes("query: ", "passage: ")),
    ("bge-m3", Prefixes("", "")),
    ("bge", Prefixes("为这个句子生成表示以用于检索相关文章：", "")),
    (
        "qwen3-embedding",
        Prefixes(
            "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:",
            "",
        ),
    ),
)
"""Part of a model's name -> its prefixes; the first that fits."""


def prefixes_of(model: str, query: str | None = None, passage: str | None = None) -> Prefixes:
    """Those of the model's family, by its name; what the settings give (an empty text too) wins."""
    name = model.lower()
    family = next((prefixes for part, prefixes in _FAMILIES if part in name), Prefixes("", ""))
    return Prefixes(family.query if query is None else query, family.passage if passage is None else passage)
