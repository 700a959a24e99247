"""Routes over what is stored: sessions, trail, feedback. Asking is in `app.py`."""

from contextlib import suppress
from datetime import datetime
from math import isfinite
from typing import Annotated, Any, ClassVar

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue
from pydantic import Field, StringConstraints
from werkzeug.routing import PathConverter

from rag_server.routes.responses import FeedbackAnswer, History, SessionList, SessionRead, SessionShown, TrailBody
from rag_server.store import Feedback, Period, Session, SessionKey, Store, as_json_array, as_tutorial
from service_kit.errors import Forbidden, InvalidRequest
from service_kit.settings import Settings
from service_kit.web import Body, current_deadline, read_body
from service_kit.web.keys import key_tag, require_admin
from service_kit.web.openapi import documented

MOST_SESSIONS = 1000
_TITLE = "a string of 1 to 200 characters / 名称"
_TIME = "Unix seconds, or a date or time such as 2026-01-31 or 2026-01-31T08:00:00+08:00"
_TRAIL = "The trail with {}, for this machine or an admin key"
_WANTED = {"since": _TIME, "until": _TIME, "session": "only this session's"}
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class NewSession(Body):
    """`POST /sessions`."""

    allowed: ClassVar = {"title": _TITLE + " (optional / 可选)"}
    title: Title | None = None


class Rename(Body):
    """`PATCH /sessions/<id>`."""

    allowed: ClassVar = {"title": _TITLE}
    title: Title


class FeedbackBody(Body):
    """`POST /feedback`."""

    allowed: ClassVar = {
        "trace_id": "the answer's trace_id / 回答中的 trace_id",
        "score": "a number from -1 (wrong) to 1 (right), or up to 5 for stars / 评分",
        "comment": "a string of up to 2000 characters (optional / 可选)",
    }
    trace_id: Annotated[str, Field(min_length=1, max_length=128)]
    score: Annotated[float, Field(ge=-1, le=5)]
    comment: Annotated[str, Field(max_length=2000)] | None = None


class _SessionId(PathConverter):
    """Whatever `POST /get_bot_response` takes as an id: werkzeug's `path` stops at the end of a line."""

    regex = r"(?s:[^/].*?)"


def caller_session(settings: Settings, session_id: str) -> SessionKey:
    """The session of that id as the current caller may reach it."""
    return SessionKey(session_id, key_tag(settings))


def add_session_routes(app: Flask, settings: Settings, store: Store) -> None:
    """`/sessions`, `/feedback`, `/history.json`, `/trail`."""
    app.url_map.converters["session_id"] = _SessionId

    @app.post("/sessions")
    @documented("Begin a session with an id that can not be guessed", body=NewSession, answers=SessionShown, status=201)
    def create() -> ResponseReturnValue:
        body = read_body(NewSession) if request.get_data().strip() else NewSession()
        return _shown(store.create(key_tag(settings), body.title)), 201

    @app.get("/sessions")
    @documented(
        "The caller's own sessions",
        answers=SessionList,
        errors=(400, 401, 403),
        query={"limit": f"1 to {MOST_SESSIONS}"},
    )
    def sessions() -> ResponseReturnValue:
        if not settings.accepted_keys:
            raise Forbidden(
                "未设 API 密钥时不能列出会话：无从分辨是谁的",
                "Without API keys sessions can not be listed: nobody can tell whose they are",
                allowed="GET /sessions/<id>",
            )
        found = store.sessions(key_tag(settings), _limit())
        return {"sessions": [_shown(one) for one in found]}

    @app.get("/sessions/<session_id:session_id>")
    @documented("One session", answers=SessionRead, errors=(401, 404))
    def read(session_id: str) -> ResponseReturnValue:
        session, messages = store.read(caller_session(settings, session_id))
        return _shown(session) | {"messages": [{"role": one.role, "content": one.content} for one in messages]}

    @app.patch("/sessions/<session_id:session_id>")
    @documented("Rename a session", body=Rename, answers=SessionShown, errors=(401, 404))
    def rename(session_id: str) -> ResponseReturnValue:
        return _shown(store.rename(caller_session(settings, session_id), read_body(Rename).title))

    @app.delete("/sessions/<session_id:session_id>")
    @documented("Forget a session; the trail keeps its turns", errors=(401, 404, 409), status=204)
    def delete(session_id: str) -> ResponseReturnValue:
        session = caller_session(settings, session_id)
        with store.one_turn(session.id, current_deadline()):  # a turn on its way would bring it back
            store.delete(session)
        return "", 204

    @app.post("/feedback")
    @documented("Say what an answer was worth", body=FeedbackBody, answers=FeedbackAnswer, errors=(401, 404))
    def feedback() -> ResponseReturnValue:
        body = read_body(FeedbackBody)
        store.add_feedback(body.trace_id, key_tag(settings), Feedback(body.score, body.comment))
        return {"status": "recorded", "trace_id": body.trace_id}

    @app.get("/history.json")
    @documented(_TRAIL.format("the tutorial's keys"), answers=History, errors=(400, 401, 403), query=_WANTED)
    def history_json() -> ResponseReturnValue:
        require_admin(settings)
        return _array(map(as_tutorial, store.entries(*_wanted())))

    @app.get("/trail")
    @documented(_TRAIL.format("all keys"), answers=TrailBody, errors=(400, 401, 403), query=_WANTED)
    def trail() -> ResponseReturnValue:
        require_admin(settings)
        return _array(store.entries(*_wanted()))


def _shown(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "title": session.title,
        "created": session.created,
        "last_access": session.last_access,
        "messages_count": session.messages,
    }


def _array(entries: Any) -> Response:
    return Response(as_json_array(entries), content_type="application/json; charset=utf-8")


def _wanted() -> tuple[Period, str | None]:
    return Period(_time("since"), _time("until")), request.args.get("session")


def _time(name: str) -> float | None:
    value = request.args.get(name)
    if not value:
        return None
    with suppress(ValueError):
        if isfinite(seconds := float(value)):
            return seconds
    with suppress(ValueError):
        return datetime.fromisoformat(value.replace(" ", "+")).timestamp()  # a + that was not escaped
    raise InvalidRequest(f"{name} 不是时间", f"{name} is no time", allowed={name: _TIME})


def _limit() -> int:
    value = request.args.get("limit", "100")
    # Its length first: int() itself refuses more than 4300 digits.
    short = value.isascii() and value.isdigit() and len(value) <= len(str(MOST_SESSIONS))
    if not (short and 1 <= int(value) <= MOST_SESSIONS):
        raise InvalidRequest("limit 有误", "limit is not allowed", allowed={"limit": f"1 to {MOST_SESSIONS}"})
    return int(value)
