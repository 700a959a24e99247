"""Which engine stands behind the passage index: the setting `search`."""

from service_kit.passages.embedded_reader import EmbeddedReader
from service_kit.passages.embedded_writer import EmbeddedWriter
from service_kit.passages.index import PassageReader, PassageWriter
from service_kit.settings import Settings

# Elasticsearch's client takes half a second to import, which the embedded engine shall not wait for.


def open_reader(settings: Settings) -> PassageReader:
    """The query side of the index that `settings` name."""
    if settings.search == "elasticsearch":
        from service_kit.passages.elastic_reader import ElasticReader  # noqa: PLC0415

        return ElasticReader(settings)
    return EmbeddedReader(settings.data)


def open_writer(settings: Settings) -> PassageWriter:
    """The write side. An index that can not be used any more is begun anew, empty (see `PassageWriter.index_id`).

    Raises:
        IndexLocked: another process is writing it.
        DependencyDown: Elasticsearch does not answer.
    """
    if settings.search == "elasticsearch":
        from service_kit.passages.elastic_writer import ElasticWriter  # noqa: PLC0415

        return ElasticWriter(settings)
    return EmbeddedWriter(settings.data)
