"""When a service is given up for a while, and how it is said: shared by the clients."""

from collections.abc import Callable, Mapping
from typing import Any

import pybreaker

from service_kit.errors import DependencyDown

CONNECT_TIMEOUT_S = 3.0
FAILURES_TO_OPEN = 5
"""Failures in a row after which calls fail at once,"""
OPEN_FOR_S = 5.0
"""for so many seconds; then they are tried again."""


def make_breaker(name: str, is_harmless: Callable[[Any], bool]) -> pybreaker.CircuitBreaker:
    """A circuit breaker for one service; errors for which `is_harmless` holds leave it closed."""
    return pybreaker.CircuitBreaker(
        fail_max=FAILURES_TO_OPEN,
        reset_timeout=OPEN_FOR_S,
        name=name,
        exclude=[is_harmless],
        throw_new_error_on_trip=False,  # the call that opens it tells what went wrong
    )


def down(name: str, url: str, reason: str, pause: float | None) -> DependencyDown:
    """The error for a service that can not be used; `pause` is the seconds until another try makes sense."""
    return DependencyDown(
        f"{name}（{url}）不可用：{reason}",
        f"{name} ({url}) is down: {reason}",
        retry_after=pause,
        details={"dependency": name},
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a `Retry-After` header; None when there is none, or a date."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None
