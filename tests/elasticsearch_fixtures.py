"""Settings for tests on the session's Elasticsearch (`conftest.elasticsearch_url`)."""

import uuid
from contextlib import closing

from service_kit.dense.engines import open_vectors
from service_kit.passages.elastic_connection import connect
from service_kit.passages.elastic_indices import Indices
from service_kit.settings import Settings, load_settings


def elastic_settings(url: str, **values: object) -> Settings:
    """Settings with an index name that nobody else uses."""
    name = f"yiju-test-{uuid.uuid4().hex[:12]}"
    return load_settings(**{"search": "elasticsearch", "es_urls": url, "es_index": name, **values})


def remove_indices(settings: Settings) -> None:
    """Leave nothing on a server that may not be ours."""
    with closing(connect(settings)) as client:
        indices = Indices(client, settings.es_index, settings.es_analysis)
        for one in indices.all():
            indices.delete(one.name)
    with closing(open_vectors(settings)) as vectors:
        vectors.drop()
