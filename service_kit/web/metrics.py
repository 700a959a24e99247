"""Prometheus metrics of one app. Each app has its own registry, so tests can build many."""

from flask import Flask, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from service_kit.web.openapi import documented

EXTENSION = "yiju_metrics"


class Metrics:
    """The counters every service has; further ones are made on `registry`."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "yiju_requests_total", "Requests answered", ["service", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "yiju_request_seconds",
            "Seconds from the request's arrival in the app to the end of its body",
            ["service", "route"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
            registry=self.registry,
        )
        self.in_flight = Gauge("yiju_in_flight", "Requests being answered", ["service"], registry=self.registry)
        self._service = service

    def began(self) -> None:
        self.in_flight.labels(self._service).inc()

    def ended(self, route: str, status: int, seconds: float) -> None:
        self.in_flight.labels(self._service).dec()
        self.requests.labels(self._service, route, str(status)).inc()
        self.seconds.labels(self._service, route).observe(seconds)


def add_metrics(app: Flask, service: str) -> Metrics:
    """Give `app` a `GET /metrics` and return what it counts with."""
    metrics = Metrics(service)
    app.extensions[EXTENSION] = metrics

    @app.get("/metrics")
    @documented("Prometheus metrics", other="text/plain")
    def show_metrics() -> Response:
        return Response(generate_latest(metrics.registry), content_type=CONTENT_TYPE_LATEST)

    return metrics


def registry_of(app: Flask) -> CollectorRegistry:
    """Where `app`'s own metrics are registered, to be shown on its `GET /metrics`."""
    metrics: Metrics = app.extensions[EXTENSION]
    return metrics.registry
