"""What a chat server's failures mean to us."""

from openai import APIStatusError

from service_kit.clients.breaker import down, retry_after
from service_kit.errors import (
    ContextTooLong,
    DeadlineExceeded,
    GenerationFailed,
    InvalidRequest,
    Overloaded,
    YijuError,
)


def translate_status(name: str, url: str, error: APIStatusError) -> YijuError:
    """The error for a status of 400 or more with which `name` refused a request."""
    status, message = error.status_code, _message(error)
    zh, en = f"{name}：{message}", f"{name}: {message}"
    if status == 429:
        return Overloaded(zh, en, retry_after=retry_after(error.response.headers))
    if status == 504:
        return DeadlineExceeded(zh, en)
    if status == 500:
        return GenerationFailed(zh, en)
    if status > 500:
        return down(name, url, message, retry_after(error.response.headers))
    if status in (401, 403):
        return down(name, url, f"不接受所给的密钥 / it refuses the key: {message}", None)
    if error.code == ContextTooLong.code:
        return ContextTooLong(zh, en)
    return InvalidRequest(zh, en)


def interrupted(name: str) -> GenerationFailed:
    """The connection ended before the answer did."""
    return GenerationFailed(f"{name} 的回答中断了", f"{name} broke off in the middle of the answer")


def _message(error: APIStatusError) -> str:
    body = error.body
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        return str(body["message"])
    return f"HTTP {error.status_code}"
