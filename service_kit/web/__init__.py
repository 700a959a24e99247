"""The web side that the four services share: app factory, request bodies, metrics, WSGI server."""

from service_kit.web.app_factory import Check, create_base_app, current_deadline, error_body
from service_kit.web.bodies import Body, read_body
from service_kit.web.metrics import registry_of
from service_kit.web.presence import watch_client
from service_kit.web.serve import run_service
from service_kit.web.streams import streamed

__all__ = [
    "Body",
    "Check",
    "create_base_app",
    "current_deadline",
    "error_body",
    "read_body",
    "registry_of",
    "run_service",
    "streamed",
    "watch_client",
]
