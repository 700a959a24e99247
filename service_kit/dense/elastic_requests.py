"""What of vectors is stored in Elasticsearch, and what is asked of it. Pure functions.

One small document a window, in an index beside those of the words: passages are known by ids that change with their
text, so one index of vectors serves them all, the one that is rebuilt and the one that is gone back to.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from service_kit.dense.vector_index import WINDOWS_A_PASSAGE, Likeness
from service_kit.dense.vectors import Matrix, Vector, unit

LAYOUT = 1
"""Of the documents; part of the index's name."""
OVERSAMPLE = 2.0
"""The int8 graph gives so many times as many windows as wanted, which are compared by their exact vectors: 2 finds 0.99
of the 100 nearest passages, 1 finds 0.97. Needs Elasticsearch 8.18."""
_MOST_WINDOWS = 2000
"""Of the given passages, a hundred; of more, those that are nearest count."""
_GRAPH = {"type": "int8_hnsw", "m": 16, "ef_construction": 100}

VECTORS = {"exists": {"field": "passage"}}
"""All windows: the lease lies in the same index."""


class Facts(NamedTuple):
    """Whose the vectors are, and how many numbers one has; None and 0 while there are none."""

    identity: str | None
    dimension: int

    @classmethod
    def of(cls, meta: Mapping[str, Any]) -> "Facts":
        """As `mapping` wrote them."""
        return cls(meta.get("identity"), meta.get("dimension", 0))


def alias_of(index: str) -> str:
    """The name under which vectors are read and written; `index`: the alias of the words."""
    return f"{index}-vectors"


def index_body(index: str) -> dict[str, Any]:
    """A new index, with its alias. One shard, so that the nearest are the nearest of all."""
    return {
        "aliases": {alias_of(index): {}},
        "settings": {
            "number_of_shards": 1,
            "auto_expand_replicas": "0-1",
            "refresh_interval": "5s",
            # Each refresh writes a segment, and each segment has a graph of its own that every search goes through.
            "merge.policy.segments_per_tier": 4,
            "merge.policy.max_merge_at_once": 4,
        },
        "mappings": {
            "dynamic": "strict",
            "_source": {"excludes": ["vector"]},  # kept by its field; twice would be four times the int8 index
            "properties": {
                "passage": {"type": "keyword"},
                "n": {"type": "integer", "index": False},
                "of": {"type": "integer", "index": False},
                "lease": {"type": "object", "enabled": False},
            },
        },
    }


def mapping(facts: Facts) -> dict[str, Any]:
    """What the first vectors add to it."""
    vector = {
        "type": "dense_vector",
        "dims": facts.dimension,
        "index": True,
        "similarity": "dot_product",
        "index_options": _GRAPH,
    }
    return {"meta": facts._asdict(), "properties": {"vector": vector}}


def documents(passages: Mapping[str, Matrix]) -> Iterator[dict[str, Any]]:
    """The windows of passages, each under an id of its own: stored twice, it is there once. `of` tells whether all
    windows of a passage have come."""
    for passage, matrix in passages.items():
        for n, vector in enumerate(unit(matrix).tolist()):
            yield {"_id": f"{passage}-{n}", "passage": passage, "n": n, "of": len(matrix), "vector": vector}


def nearest(question: Vector, count: int) -> dict[str, Any]:
    """The best window of each of the `count` nearest passages, about."""
    return _search(question, WINDOWS_A_PASSAGE * count, count, OVERSAMPLE)


def given(question: Vector, ids: Sequence[str]) -> dict[str, Any]:
    """The best window of each of these passages. With a filter that leaves no more than are wanted, Elasticsearch
    compares them all."""
    return _search(question, _MOST_WINDOWS, len(ids), 1.0, filter={"terms": {"passage": list(ids)}})


def likeness(hits: Sequence[Mapping[str, Any]]) -> dict[str, Likeness]:
    """By passage. The score of a dot product is (1 + cosine) / 2."""
    return {hit["fields"]["passage"][0]: Likeness(2 * hit["_score"] - 1, int(hit["fields"]["n"][0])) for hit in hits}


def _search(question: Vector, windows: int, passages: int, oversample: float, **more: Any) -> dict[str, Any]:
    knn = {
        "field": "vector",
        "query_vector": unit(np.asarray(question)).tolist(),
        **{"k": windows, "num_candidates": windows},
        "rescore_vector": {"oversample": oversample},
        **more,
    }
    return {
        "query": {"knn": knn},
        "collapse": {"field": "passage"},
        "size": passages,
        # Nothing that is stored, not even ids: a window's whole JSON lies beside its id until segments are merged.
        "stored_fields": "_none_",
        "docvalue_fields": ["passage", "n"],
        "track_total_hits": False,
    }
