"""A turn's events as server-sent events."""

import json
from collections.abc import Callable, Generator, Iterable
from typing import Any

from pydantic import BaseModel

from rag_server.events import Delta, Done, Event, EvidenceFound, SentenceChecked, Status
from rag_server.routes.responses import DeltaTold, EvidenceTold, StatusTold, sentence, shown, turn_body
from service_kit.errors import YijuError

HEARTBEAT = ": \n\n"
"""A comment: tells proxies and clients that the answer is still being made."""
HOLD_S = 0.3
"""So long, at most, what comes before the first token waits for it: what fails meanwhile is a plain HTTP error."""


def sse(name: str, data: str) -> str:
    """One event."""
    return f"event: {name}\ndata: {data}\n\n"


def error(body: dict[str, Any]) -> str:
    """What every error answers, as the last event of a stream that had begun."""
    return sse("error", json.dumps(body, ensure_ascii=False))


def written(event: Event) -> str:
    """A turn's event in the form of `POST /get_bot_response`."""
    name, model = _named(event)
    return sse(name, model.model_dump_json())


def _named(event: Event) -> tuple[str, BaseModel]:
    match event:
        case Status():
            return "status", StatusTold(stage=event.stage, new_query=event.new_query)
        case EvidenceFound():
            return "evidence", EvidenceTold(evidence=[shown(one) for one in event.shown])
        case Delta():
            return "delta", DeltaTold(text=event.text)
        case SentenceChecked():
            return "sentence", sentence(event.sentence)
        case Done():
            return "done", turn_body(event.turn)


def streaming(
    events: Iterable[Event | None], write: Callable[[Event], str], failed: Callable[[YijuError], str]
) -> Generator[str]:
    """`events` as text, a heartbeat for None; an error is raised before the first of them, and an event after it."""
    waiting: list[str] = []
    begun = False
    try:
        for event in events:
            text = HEARTBEAT if event is None else write(event)
            if not begun and isinstance(event, Status | EvidenceFound):
                waiting.append(text)
                continue
            begun = True
            if text := "".join((*waiting, text)):
                yield text
            waiting = []
    except YijuError as error:
        if not begun:
            raise
        yield failed(error)
