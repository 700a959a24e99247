"""Calls one JSON service: timeouts, bounded retries, circuit breaker, request id and deadline passed on."""

import json
import logging
from collections.abc import Mapping
from typing import Any

import pybreaker
import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from service_kit import deadline as deadlines
from service_kit.clients.breaker import CONNECT_TIMEOUT_S, OPEN_FOR_S, down, make_breaker, retry_after
from service_kit.deadline import Deadline
from service_kit.errors import (
    ContextTooLong,
    DeadlineExceeded,
    DependencyDown,
    InvalidRequest,
    Overloaded,
    PayloadTooLarge,
    YijuError,
)
from service_kit.logs import request_id

logger = logging.getLogger(__name__)

RETRIES = 1
"""Repeated only when the connection failed, so that no request is carried out twice."""


class ServiceClient:
    """Calls `name` at `url`; safe to share between threads.

    After FAILURES_TO_OPEN failures in a row the circuit opens: for OPEN_FOR_S seconds calls fail at once instead of
    waiting for a service that is down. A deadline that the caller set, shorter than `timeout_s`, is his own choice
    and no failure.
    """

    def __init__(self, name: str, url: str, *, timeout_s: float, api_key: str | None = None) -> None:
        self.name = name
        self.url = url
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.trust_env = False  # an outward proxy must never see a private question
        # False, not 0: urllib3 then raises the timeout itself instead of "too many retries".
        retry = Retry(
            total=None,
            connect=RETRIES,
            read=False,
            other=False,
            status=False,
            redirect=False,
            respect_retry_after_header=False,
            backoff_factor=0.1,
            allowed_methods=None,
        )
        self._session.mount(url, HTTPAdapter(max_retries=retry, pool_maxsize=64))
        if api_key:
            self._session.headers["Authorization"] = f"Bearer {api_key}"
        self._breaker = make_breaker(name, lambda error: not isinstance(error, DependencyDown))

    def post(self, path: str, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """The JSON object that `path` answers.

        Raises:
            DependencyDown: no connection, nothing within `timeout_s`, a 5xx, our key or path is refused (401, 403, 404,
                405), an answer that is no JSON object, or the circuit is open.
            DeadlineExceeded: no answer within the deadline, or the service itself said 504.
            Overloaded, PayloadTooLarge, ContextTooLong, InvalidRequest: the service said so; its words are passed on.
        """
        return self._call("POST", path, payload, deadline)

    def get(self, path: str, deadline: Deadline) -> dict[str, Any]:
        """As `post`, without a body, and without the circuit: asking how a service is must not cut it off."""
        return self._read(self._send("GET", path, None, deadline))

    def _call(self, method: str, path: str, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        try:
            with self._breaker.calling():
                return self._read(self._send(method, path, payload, deadline))
        except pybreaker.CircuitBreakerError:
            raise down(self.name, self.url, "刚才多次失败，稍后再试 / failing, paused", OPEN_FOR_S) from None
        except DependencyDown as error:
            logger.warning("%s", error)
            raise

    def _send(self, method: str, path: str, payload: Mapping[str, Any] | None, deadline: Deadline) -> requests.Response:
        seconds = deadline.remaining(at_most=self._timeout_s)
        headers = {"X-Request-ID": request_id.get(), deadlines.HEADER: deadlines.to_header(seconds)}
        body = None
        if payload is not None:
            # Chinese as it is: escaped, it would be twice as long and break the other side's limit.
            body = json.dumps(payload, ensure_ascii=False).encode()
            headers["Content-Type"] = "application/json"
        try:
            return self._session.request(
                method,
                self.url + path,
                data=body,
                headers=headers,
                timeout=(min(CONNECT_TIMEOUT_S, seconds / (RETRIES + 1)), seconds),
                allow_redirects=False,
            )
        except requests.ReadTimeout:
            late = f"在 {seconds:.1f} 秒内没有回应 / no answer within {seconds:.1f} s"
            if seconds >= self._timeout_s:
                raise down(self.name, self.url, late, OPEN_FOR_S) from None
            raise DeadlineExceeded(f"{self.name} {late}", f"{self.name}: {late}") from None
        except requests.RequestException as error:
            raise down(self.name, self.url, type(error).__name__, OPEN_FOR_S) from error

    def _read(self, response: requests.Response) -> dict[str, Any]:
        status = response.status_code
        try:
            body = response.json()
        except requests.JSONDecodeError:
            body = None
        if 200 <= status < 300:
            if isinstance(body, dict):
                return body
            raise down(self.name, self.url, "不是 JSON 对象 / no JSON object", None)
        code, message = _fault_in(body)
        raise self._refusal(status, code, message or f"HTTP {status}", retry_after(response.headers))

    def _refusal(self, status: int, code: str | None, message: str, pause: float | None) -> YijuError:
        zh, en = f"{self.name}：{message}", f"{self.name}: {message}"
        if status == 429:
            return Overloaded(zh, en, retry_after=pause)
        if status == 504:
            return DeadlineExceeded(zh, en)
        if status == 413:
            return PayloadTooLarge(zh, en)
        if code == ContextTooLong.code:
            return ContextTooLong(zh, en)
        if status in (400, 409, 422):
            return InvalidRequest(zh, en)
        return down(self.name, self.url, message, pause)


def _fault_in(body: Any) -> tuple[str | None, str | None]:
    """Code and message of an error body, or what a `/readyz` says of the dependencies that are not ready."""
    if not isinstance(body, dict):
        return None, None
    error, dependencies = body.get("error"), body.get("dependencies")
    if isinstance(error, dict):
        return error.get("code"), str(error.get("message"))
    if isinstance(dependencies, dict):
        told = (one.get("message") for one in dependencies.values() if isinstance(one, dict))
        return None, "; ".join(message for message in told if message) or None
    return None, None
