"""Which engine stands behind the passage index: the setting `search`."""

from service_kit.errors import IndexingError
from service_kit.passages.embedded_files import VERSION, index_directory, read_marker
from service_kit.passages.embedded_reader import EmbeddedReader
from service_kit.passages.embedded_writer import EmbeddedWriter
from service_kit.passages.index import IndexIds, PassageReader, PassageWriter, RebuildWriter
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


def open_rebuild(settings: Settings) -> RebuildWriter:
    """The write side of a new index beside the one that is searched.

    Raises:
        IndexingError: the engine has but one index, or the server lacks what the new one needs.
        DependencyDown: Elasticsearch does not answer.
    """
    need_several_indices(settings, "--rebuild")
    from service_kit.passages.elastic_writer import ElasticRebuild  # noqa: PLC0415

    return ElasticRebuild(settings)


def need_several_indices(settings: Settings, option: str) -> None:
    """Raises IndexingError when the engine has but one index, so that this option of es_index makes no sense."""
    if settings.search != "elasticsearch":
        raise IndexingError(
            f"内置引擎只有一个索引，不需要 {option}：版本不符或损坏时，普通运行即会从头建立",
            f"The embedded engine has but one index and needs no {option}: a plain run builds it anew when it is of "
            "another version or damaged",
        )


def index_ids(settings: Settings) -> IndexIds:
    """Which indices there are; nothing is written.

    Raises:
        IndexingError: in Elasticsearch an index, not an alias, has the name.
        DependencyDown: Elasticsearch does not answer.
    """
    if settings.search == "elasticsearch":
        from service_kit.passages.elastic_indices import open_indices  # noqa: PLC0415

        with open_indices(settings) as indices:
            return indices.ids()
    marker = read_marker(index_directory(settings.data))
    if marker is None or marker.version != VERSION:
        return IndexIds(None, frozenset())
    return IndexIds(marker.index_id, frozenset([marker.index_id]))
