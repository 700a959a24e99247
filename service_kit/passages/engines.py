"""Which engine stands behind the passage index: the setting `search`. So far there is one."""

from service_kit.passages.embedded_reader import EmbeddedReader
from service_kit.passages.embedded_writer import EmbeddedWriter
from service_kit.passages.index import PassageReader, PassageWriter
from service_kit.settings import Settings


def open_reader(settings: Settings) -> PassageReader:
    """The query side of the index that `settings` name."""
    return EmbeddedReader(settings.data)


def open_writer(settings: Settings) -> PassageWriter:
    """The write side. An index that can not be used any more is begun anew, empty (see `PassageWriter.index_id`).

    Raises:
        IndexLocked: another process is writing it.
    """
    return EmbeddedWriter(settings.data)
