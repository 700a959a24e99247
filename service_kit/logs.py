"""Structured logs: one JSON object a line, each with the request id."""

import logging
import sys
from contextvars import ContextVar
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from service_kit.errors import YijuError

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""The `X-Request-ID` of the request that this context serves; `-` outside one."""


class _RequestId(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True


class _NoTraceOfOurOwn(logging.Filter):
    """An error raised on purpose in the middle of a stream is a line, not a stack trace."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, YijuError):
            record.msg, record.args, record.exc_info = "broken off: %s", (str(error),), None
        return True


def setup_logging(service: str, level: str) -> None:
    """Send this process's log records to stderr as JSON lines. Called once, by `__main__`."""
    formatter = JsonFormatter(
        "%(levelname)s %(name)s %(message)s %(request_id)s",
        rename_fields={"levelname": "level", "name": "logger"},
        timestamp="time",
        json_ensure_ascii=False,
        static_fields={"service": service},
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(_RequestId())
    handler.addFilter(_NoTraceOfOurOwn())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("httpx2", "httpcore2", "urllib3", "openai", "elastic_transport"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def event(logger: logging.Logger, message: str, **fields: Any) -> None:
    """Log `message` at INFO with `fields` as keys of the JSON object."""
    logger.info(message, extra=fields)
