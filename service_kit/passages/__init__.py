"""Passages: from text files to terms to an index, and the index's write and query side."""

from service_kit.passages.engines import open_reader, open_writer
from service_kit.passages.index import Hit, PassageReader, PassageWriter, SearchResult
from service_kit.passages.passage import Passage

__all__ = ["Hit", "Passage", "PassageReader", "PassageWriter", "SearchResult", "open_reader", "open_writer"]
