"""Calls one JSON service: timeouts, bounded retries, circuit breaker, request id and deadline passed on."""

import logging
from collections.abc import Mapping
from typing import Any

import pybreaker
import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from service_kit import deadline as deadlines
from service_kit.deadline import Deadline
from service_kit.errors import DeadlineExceeded, DependencyDown, InvalidRequest, Overloaded
from service_kit.logs import request_id

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 3.0
RETRIES = 1
"""Repeated only when the connection failed, so that no request is carried out twice."""
FAILURES_TO_OPEN = 5
OPEN_FOR_S = 5.0


class ServiceClient:
    """Calls `name` at `url`; safe to share between threads.

    After FAILURES_TO_OPEN failures in a row the circuit opens: for OPEN_FOR_S seconds calls fail at once instead of
    waiting for a service that is down; then one call tries again. A passed deadline is the caller's own choice and
    does not count.
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
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=FAILURES_TO_OPEN, reset_timeout=OPEN_FOR_S, name=name, exclude=[DeadlineExceeded]
        )

    def post(self, path: str, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """The JSON object that `path` answers.

        Raises:
            DependencyDown: no connection, a 5xx, an answer that is no JSON object, or the circuit is open.
            DeadlineExceeded: no answer within the deadline, or the service itself said 504.
            Overloaded: the service said 429.
            InvalidRequest: the service said another 4xx; its message is passed on.
        """
        return self._call("POST", path, payload, deadline)

    def get(self, path: str, deadline: Deadline) -> dict[str, Any]:
        """As `post`, without a body."""
        return self._call("GET", path, None, deadline)

    def _call(self, method: str, path: str, payload: Mapping[str, Any] | None, deadline: Deadline) -> dict[str, Any]:
        try:
            with self._breaker.calling():
                response = self._send(method, path, payload, deadline)
                if response.status_code >= 500 and response.status_code != 504:
                    raise self._down(_message(response), response)
        except pybreaker.CircuitBreakerError:
            raise self._down("刚才多次失败，稍后再试 / failing, paused", None) from None
        return self._read(response)

    def _send(self, method: str, path: str, payload: Mapping[str, Any] | None, deadline: Deadline) -> requests.Response:
        seconds = deadline.remaining(at_most=self._timeout_s)
        headers = {"X-Request-ID": request_id.get(), deadlines.HEADER: f"{seconds:.3f}"}
        try:
            return self._session.request(
                method,
                self.url + path,
                json=payload,
                headers=headers,
                timeout=(min(CONNECT_TIMEOUT_S, seconds / (RETRIES + 1)), seconds),
                allow_redirects=False,
            )
        except requests.ConnectionError as error:
            raise self._down(type(error).__name__, None) from error
        except requests.Timeout:
            raise DeadlineExceeded(
                f"{self.name} 在 {seconds:.1f} 秒内没有回应", f"{self.name} did not answer within {seconds:.1f} s"
            ) from None
        except requests.RequestException as error:
            raise self._down(type(error).__name__, None) from error

    def _read(self, response: requests.Response) -> dict[str, Any]:
        if response.status_code == 429:
            message = _message(response)
            raise Overloaded(f"{self.name}：{message}", f"{self.name}: {message}", retry_after=_retry_after(response))
        if response.status_code == 504:
            raise DeadlineExceeded(f"{self.name} 超时", f"{self.name} ran out of time")
        if response.status_code >= 400:
            message = _message(response)
            raise InvalidRequest(f"{self.name}：{message}", f"{self.name}: {message}")
        try:
            body = response.json()
        except requests.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            raise self._down("不是 JSON 对象 / no JSON object", response)
        return body

    def _down(self, reason: str, response: requests.Response | None) -> DependencyDown:
        retry_after = _retry_after(response) if response is not None else None
        logger.warning("%s at %s: %s", self.name, self.url, reason)
        return DependencyDown(
            f"{self.name}（{self.url}）不可用：{reason}",
            f"{self.name} ({self.url}) is down: {reason}",
            retry_after=retry_after or OPEN_FOR_S,
            details={"dependency": self.name},
        )


def _message(response: requests.Response) -> str:
    try:
        return str(response.json()["error"]["message"])
    except (requests.JSONDecodeError, KeyError, TypeError):
        return f"HTTP {response.status_code}"


def _retry_after(response: requests.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None
