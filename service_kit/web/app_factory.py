"""`create_base_app`: a Flask app with what every service has before its first own route.

CORS, request ids, deadlines, JSON errors, body limit, API keys, `/healthz`, `/readyz`, `/metrics`.
"""

import logging
import re
import time
import uuid
from collections.abc import Callable
from threading import BoundedSemaphore
from typing import Any, Literal, NamedTuple

from flask import Flask, Response, g, jsonify, request
from flask.typing import ResponseReturnValue
from flask_cors import CORS
from pydantic import BaseModel
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from service_kit import deadline as deadlines
from service_kit.deadline import Deadline
from service_kit.errors import BadHttp, NotFound, Overloaded, PayloadTooLarge, YijuError
from service_kit.logs import event, request_id
from service_kit.settings import Service, Settings
from service_kit.web.keys import OPEN_PATHS, require_key
from service_kit.web.metrics import add_metrics
from service_kit.web.openapi import documented
from service_kit.words import Lang

logger = logging.getLogger(__name__)

REQUEST_ID_HEADER = "X-Request-ID"
RETRY_AFTER_S = 5
"""Said where an overload or a dependency that is down does not say better."""
_SAFE_ID = re.compile(r"[A-Za-z0-9._:\-]{1,128}")
_NO_CORS = r"/(?!history\.json|trail).*"
"""All paths but the trail, which a page from elsewhere must never read through the administrator's browser."""


class Check(NamedTuple):
    """One line of `/readyz`: `run` returns facts to show, or raises YijuError when `name` can not be used."""

    name: str
    run: Callable[[], dict[str, Any]]
    required: bool = True


class Alive(BaseModel):
    """The body of `/healthz`."""

    status: Literal["alive"]
    service: str


class Ready(BaseModel):
    """The body of `/readyz`: what each dependency says of itself."""

    status: Literal["ready", "not ready"]
    service: str
    dependencies: dict[str, dict[str, Any]]


ErrorShape = Callable[[dict[str, Any], YijuError], dict[str, Any]]
"""Gets the standard error body and may add keys to it, for the current request's route."""


def create_base_app(
    service: Service, settings: Settings, checks: tuple[Check, ...] = (), shape_error: ErrorShape | None = None
) -> Flask:
    """A Flask app for `service` that holds no routes yet but the operational ones."""
    app = Flask(service, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.body_limit
    app.json.ensure_ascii = False  # type: ignore[attr-defined]  # the default provider has both
    app.json.sort_keys = False  # type: ignore[attr-defined]
    CORS(
        app,
        resources={_NO_CORS: {"origins": "*"}},
        send_wildcard=True,
        expose_headers=[REQUEST_ID_HEADER, "Retry-After"],
    )
    _add_requests(app, service, settings)
    _add_errors(app, settings, shape_error)
    _add_health(app, service, settings, checks)
    return app


def current_deadline() -> Deadline:
    """The current request's deadline, from `X-Deadline`."""
    deadline: Deadline = g.deadline
    return deadline


def error_body(error: YijuError, lang: Lang) -> dict[str, Any]:
    """What every error answers; `retry_after` is in the header `Retry-After`, too."""
    told: dict[str, Any] = {"code": error.code, "message": error.words.to(lang)}
    if error.allowed is not None:
        told["allowed"] = error.allowed
    if error.retry_after is not None or error.status in (429, 503):
        told["retry_after"] = max(1, round(error.retry_after or RETRY_AFTER_S))
    return {"error": told | error.details}


def unexpected() -> YijuError:
    """The error for the exception that is being handled, which nobody foresaw; it goes into the log."""
    logger.exception("unexpected error")
    return YijuError("服务内部错误，详见日志", "Internal error; the log has the details")


def _add_requests(app: Flask, service: Service, settings: Settings) -> None:
    metrics = add_metrics(app, service)
    threads = settings.address(service).threads
    # Some threads stay free, so that a full service still says so, and that it is alive.
    places = BoundedSemaphore(max(1, threads - max(1, threads // 8)))

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()
        given = request.headers.get(REQUEST_ID_HEADER, "")
        g.request_id = given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex
        request_id.set(g.request_id)
        metrics.began()
        require_key(settings)
        g.has_place = request.path not in OPEN_PATHS and places.acquire(blocking=False)
        if request.path not in OPEN_PATHS and not g.has_place:
            raise Overloaded("服务正忙，请稍后再试", "The service is busy; try again later", retry_after=1)
        g.deadline = Deadline.from_header(request.headers.get(deadlines.HEADER))
        g.deadline.remaining()

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers[REQUEST_ID_HEADER] = g.request_id
        route = str(request.url_rule) if request.url_rule else "none"
        began, path, method, own_id = g.began, request.path, request.method, g.request_id
        has_place = g.get("has_place", False)

        @response.call_on_close
        def ended() -> None:
            if has_place:
                places.release()
            seconds = time.perf_counter() - began
            metrics.ended(route, response.status_code, seconds)
            if path not in OPEN_PATHS:
                request_id.set(own_id)
                event(
                    logger,
                    "request",
                    method=method,
                    path=path,
                    status=response.status_code,
                    ms=round(seconds * 1000, 1),
                )

        return response


def _add_errors(app: Flask, settings: Settings, shape_error: ErrorShape | None) -> None:
    def respond(error: YijuError) -> ResponseReturnValue:
        body = error_body(error, settings.lang)
        response = jsonify(shape_error(body, error) if shape_error else body)
        response.status_code = error.status
        if "retry_after" in body["error"]:
            response.headers["Retry-After"] = str(body["error"]["retry_after"])
        if error.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    @app.errorhandler(YijuError)
    def on_own(error: YijuError) -> ResponseReturnValue:
        return respond(error)

    @app.errorhandler(HTTPException)
    def on_http(error: HTTPException) -> ResponseReturnValue:
        return respond(_translate(error, settings))

    @app.errorhandler(Exception)
    def on_any(error: Exception) -> ResponseReturnValue:
        return respond(unexpected())


def _translate(error: HTTPException, settings: Settings) -> YijuError:
    if isinstance(error, RequestEntityTooLarge):
        limit = settings.body_limit
        return PayloadTooLarge(f"请求体超过 {limit} 字节", f"The body is over {limit} bytes", allowed=f"<= {limit}")
    if isinstance(error, MethodNotAllowed):
        return BadHttp(
            "此路径不接受该方法",
            "This path does not take that method",
            status=405,
            allowed=sorted(error.valid_methods or ()),
        )
    if error.code == 404:
        return NotFound(f"没有此路径：{request.path}", f"No such path: {request.path}")
    return BadHttp("请求有误", error.description or error.name, status=error.code or 400)


def _add_health(app: Flask, service: Service, settings: Settings, checks: tuple[Check, ...]) -> None:
    @app.get("/healthz")
    @documented("Whether the process is alive", answers=Alive)
    def healthz() -> ResponseReturnValue:
        return {"status": "alive", "service": service}

    @app.get("/readyz")
    @documented("Whether it can answer, each dependency by name; 503 when not", answers=Ready)
    def readyz() -> ResponseReturnValue:
        shown: dict[str, Any] = {}
        ready = True
        for check in checks:
            try:
                shown[check.name] = {"ok": True, "required": check.required, **check.run()}
            except YijuError as error:
                message = error.words.to(settings.lang)
                shown[check.name] = {"ok": False, "required": check.required, "message": message, **error.details}
                ready = ready and not check.required
        body = {"status": "ready" if ready else "not ready", "service": service, "dependencies": shown}
        return (body, 200) if ready else (body, 503, {"Retry-After": "5"})
