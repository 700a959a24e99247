"""What an index in Elasticsearch is: its analysis, its fields, and the document of a passage. Pure functions.

`ik`: title and passage go into `content`, cut by ik_smart, and into `content.cjk`, cut into bigrams; the search adds up
both (`multi_match`, `most_fields`). `client`: the terms of `analysis.py`, cut here, go into `terms`, which the server
splits at spaces: any server ranks as the embedded engine does.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal

from service_kit.passages import analysis
from service_kit.passages.passage import METADATA, Passage
from service_kit.passages.references import article_keys, doc_no_keys, issuer_keys
from service_kit.passages.validity import validity

Analysis = Literal["ik", "client"]

SCHEMA_VERSION = 1
VERSION = f"{SCHEMA_VERSION}.{analysis.VERSION}"
"""Of documents and terms; the mapping itself is told by its hash."""
K1 = 1.2
"""Elasticsearch's BM25 parameter (b is 0.75); its scores carry the factor k1 + 1."""

TOKENIZER = "ik_smart"
"""Of users' plugin."""
FIELDS: Mapping[Analysis, tuple[str, ...]] = {"ik": ("content", "content.cjk"), "client": ("terms",)}
"""The fields that are searched; scores of several add up."""
PASSAGE_FIELDS = ("title", "text", *METADATA, "file")
"""What a hit gives back."""

AT_REST = {"refresh_interval": "-1", "auto_expand_replicas": "0-1", "translog.durability": "request"}
"""Settings of an index: at most one copy, if there are nodes for it. A commit refreshes; nothing is seen before."""
WHILE_FILLED = {**AT_REST, "auto_expand_replicas": "false", "translog.durability": "async"}
"""Neither copies nor a wait for the disk at each request."""

_FREQUENCIES = {"type": "text", "index_options": "freqs"}
"""No positions: no phrase is ever asked."""
_KEY = {"type": "keyword", "ignore_above": 1024}
_ONLY_SHOWN = {"type": "keyword", "index": False, "doc_values": False}
_SHOWN = {"type": "text", "index": False}


def index_body(form: Analysis, index_id: str) -> dict[str, Any]:
    """Settings and mappings of a new index. One shard: the rarity of a word is that in all passages."""
    mappings = {
        "_meta": {"index_id": index_id, "version": VERSION, "analysis": form},
        "dynamic": "strict",
        "properties": _properties(form),
    }
    if form == "client":  # a passage is only ever stored whole; partial updates would lose its terms
        mappings["_source"] = {"excludes": ["terms"]}
    settings = {"number_of_shards": 1, "number_of_replicas": 0, **WHILE_FILLED, "analysis": _ANALYSIS[form]}
    return {"settings": settings, "mappings": mappings}


def mapping_hash(form: Analysis) -> str:
    """Eight hexadecimal digits; another mapping has others."""
    body = [_properties(form), _ANALYSIS[form]]
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:8]


def name_prefix(index: str, form: Analysis) -> str:
    """How the names of the physical indices begin that this version can use: `yiju-v1.1-0123abcd-`."""
    return f"{index}-v{VERSION}-{mapping_hash(form)}-"


def document(passage: Passage) -> dict[str, Any]:
    """What is stored of a passage, but for the `terms` of the form `client`, see `with_terms`."""
    stored: dict[str, Any] = {"id": passage.id, "title": passage.title, "text": passage.text}
    if passage.file is not None:
        stored["file"] = passage.file
    if articles := article_keys(passage):
        stored["articles"] = articles
    if passage.has_metadata:
        valid = validity(passage)
        stored |= {name: value for name in METADATA if (value := getattr(passage, name)) is not None}
        keys = {
            "numbers": doc_no_keys(passage.doc_no),
            "issuers": issuer_keys(passage.issuer),
            "begins": _iso(valid.begins),
            "ends": _iso(valid.ends),
            "repealed_undated": valid.ended,
        }
        stored |= {key: value for key, value in keys.items() if value}
    return stored


def with_terms(stored: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The documents with their terms cut."""
    cut = analysis.joined_terms((one["title"], one["text"]) for one in stored)
    return [{**one, "terms": terms} for one, terms in zip(stored, cut, strict=True)]


def passage_of(source: Mapping[str, Any]) -> Passage:
    """The passage of a hit's `_source`."""
    return Passage(**{key: source[key] for key in PASSAGE_FIELDS if key in source})


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _properties(form: Analysis) -> dict[str, Any]:
    day = {"type": "date", "format": "strict_date"}
    return {
        "id": {"type": "keyword", "index": False},  # to sort by
        **dict.fromkeys((*METADATA, "file"), _ONLY_SHOWN),
        **dict.fromkeys(("numbers", "articles", "issuers"), _KEY),
        **{"begins": day, "ends": day, "repealed_undated": {"type": "boolean"}},
        **(_IK_TEXT if form == "ik" else _CLIENT_TEXT),
    }


_IK_TEXT = {
    "title": {**_SHOWN, "copy_to": "content"},
    "text": {**_SHOWN, "copy_to": "content"},
    "content": {
        **_FREQUENCIES,
        "analyzer": "passage_words",
        # In the mapping: an `analyzer` in the query would hold for both fields.
        "search_analyzer": "question_words",
        "fields": {"cjk": {**_FREQUENCIES, "analyzer": "passage_pairs", "search_analyzer": "question_pairs"}},
    },
}
_CLIENT_TEXT = {"title": _SHOWN, "text": _SHOWN, "terms": {**_FREQUENCIES, "analyzer": "whitespace"}}

_WORDS = {"type": "custom", "tokenizer": TOKENIZER, "filter": ["lowercase"]}
_PAIRS = {"type": "custom", "tokenizer": "standard", "filter": ["cjk_width", "lowercase", "cjk_bigram"]}


def _for_questions(analyzer: Mapping[str, Any]) -> dict[str, Any]:
    return {**analyzer, "filter": [*analyzer["filter"], "question_words"]}


_ANALYSIS: Mapping[Analysis, dict[str, Any]] = {
    "ik": {
        "filter": {"question_words": {"type": "stop", "stopwords": sorted(analysis.QUESTION_WORDS)}},
        "analyzer": {
            "passage_words": _WORDS,
            "question_words": _for_questions(_WORDS),
            "passage_pairs": _PAIRS,
            "question_pairs": _for_questions(_PAIRS),
        },
    },
    "client": {},
}
