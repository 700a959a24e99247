"""The optional API-key check: `Authorization: Bearer <key>` when `YIJU_API_KEYS` is set."""

import hashlib
import hmac
from collections.abc import Iterable
from urllib.parse import urlsplit

from flask import request

from service_kit.errors import Forbidden, Unauthorized
from service_kit.settings import Settings

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked by supervisors that hold no key; they show no content."""

FORWARDED = ("x-forwarded", "forwarded", "via", "x-real-ip", "x-client-ip", "cf-connecting-ip", "true-client-ip")
"""Beginnings of the headers by which a proxy gives itself away."""

LOOPBACK = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1"})


def require_key(settings: Settings) -> None:
    """Raises Unauthorized when keys are on and the current request carries none of them."""
    if not settings.accepted_keys or request.path in OPEN_PATHS or request.method == "OPTIONS":
        return
    if not carries_one_of(settings.accepted_keys):
        raise Unauthorized(
            "需要有效的 API 密钥", "A valid API key is required", allowed="Authorization: Bearer <YIJU_API_KEYS>"
        )


def require_admin(settings: Settings) -> None:
    """Let pass an admin key, or, while no keys are set at all, a caller on this very machine.

    A proxy on this machine also calls from loopback: a forwarded request is not local. Neither is one whose Host is
    another name (a page in the administrator's browser that rebinds its DNS name to 127.0.0.1).

    Raises:
        Forbidden: neither holds.
    """
    if carries_one_of(settings.accepted_admin_keys):
        return
    keys_are_used = bool(settings.accepted_keys or settings.accepted_admin_keys)
    forwarded = any(name.lower().startswith(FORWARDED) for name, _ in request.headers)
    host = (urlsplit(f"//{request.host}").hostname or "").rstrip(".")
    local = request.remote_addr in LOOPBACK and host in LOOPBACK | {"localhost"}
    if keys_are_used or forwarded or not local:
        raise Forbidden(
            "只供本机或持管理密钥者使用",
            "Only from this machine or with an admin key",
            allowed="Authorization: Bearer <YIJU_ADMIN_KEYS>",
        )


def key_tag(settings: Settings) -> str:
    """What sets the current caller's things apart from those of other keys; empty when no key is asked for."""
    if not settings.accepted_keys:
        return ""
    return hashlib.sha256(_token().encode()).hexdigest()[:16] + "/"


def carries_one_of(keys: Iterable[str]) -> bool:
    """Whether the current request's bearer token is one of `keys`; compared in constant time."""
    given = _token().encode()
    matches = [hmac.compare_digest(given, key.encode()) for key in keys]
    return bool(given) and any(matches)


def _token() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
