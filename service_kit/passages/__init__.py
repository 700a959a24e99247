"""Passages: from text files to terms to an index, and the index's write and query side."""

from service_kit.passages.engines import index_ids, open_reader, open_rebuild, open_writer
from service_kit.passages.filters import NO_FILTERS, Filters
from service_kit.passages.index import Hit, IndexIds, PassageReader, PassageWriter, Probe, RebuildWriter, SearchResult
from service_kit.passages.passage import Passage

__all__ = [
    "NO_FILTERS",
    "Filters",
    "Hit",
    "IndexIds",
    "Passage",
    "PassageReader",
    "PassageWriter",
    "Probe",
    "RebuildWriter",
    "SearchResult",
    "index_ids",
    "open_reader",
    "open_rebuild",
    "open_writer",
]
