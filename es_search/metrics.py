"""What es_search counts beside its requests."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

from es_search.searcher import Found


class SearchMetrics:
    """`yiju_search_*` on one app's registry."""

    def __init__(self, registry: CollectorRegistry, progress: Callable[[], tuple[int, int]]) -> None:
        """`progress` gives passages that have their vectors, and all."""
        self._searches = Counter(
            "yiju_search_total", "Searches by how they were ranked", ["retrieval_mode"], registry=registry
        )
        self._skipped = Counter(
            "yiju_search_skipped_total", "Stages that a search was done without", ["stage"], registry=registry
        )
        for name, text, part in (
            ("yiju_search_passages_with_vectors", "Passages that have their vectors", 0),
            ("yiju_search_passages_wanting_vectors", "Passages that should have vectors", 1),
        ):
            gauge = Gauge(name, text, registry=registry)
            gauge.set_function(lambda part=part: progress()[part])  # type: ignore[misc]

    def count(self, found: Found) -> None:
        self._searches.labels(found.mode).inc()
        for stage in found.skipped:
            self._skipped.labels(stage).inc()
