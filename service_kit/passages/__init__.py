"""Passages: from text files to terms to an index, and the index's write and query side."""

from service_kit.passages.engines import open_reader, open_writer
from service_kit.passages.filters import NO_FILTERS, Filters
from service_kit.passages.index import Hit, PassageReader, PassageWriter, Probe, SearchResult
from service_kit.passages.passage import Passage

__all__ = [
    "NO_FILTERS",
    "Filters",
    "Hit",
    "Passage",
    "PassageReader",
    "PassageWriter",
    "Probe",
    "SearchResult",
    "open_reader",
    "open_writer",
]
