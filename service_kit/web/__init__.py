"""The web side that the four services share: app factory, request bodies, metrics, WSGI server."""

from service_kit.web.app_factory import Check, create_base_app, current_deadline
from service_kit.web.bodies import Body, read_body
from service_kit.web.presence import watch_client
from service_kit.web.serve import run_service

__all__ = ["Body", "Check", "create_base_app", "current_deadline", "read_body", "run_service", "watch_client"]
