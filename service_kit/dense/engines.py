"""Where the vectors are kept: beside the words, as the setting `search` says."""

from service_kit.dense.vector_index import VectorIndex
from service_kit.settings import Settings


def open_vectors(settings: Settings) -> VectorIndex:
    """Those of the index that `settings` name. Elasticsearch is not asked before the first use."""
    if settings.search == "elasticsearch":
        from service_kit.dense.elastic_vectors import ElasticVectors  # noqa: PLC0415  # half a second to import

        return ElasticVectors(settings)
    from service_kit.dense.embedded_vectors import EmbeddedVectors  # noqa: PLC0415  # usearch

    return EmbeddedVectors(settings.data)
