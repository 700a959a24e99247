"""HTTP clients with which one service calls another."""

from service_kit.clients.http import ServiceClient

__all__ = ["ServiceClient"]
