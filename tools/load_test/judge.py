"""Whether an answer is one, and what it says; pure functions of what came over the wire."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.load_test.target import Target

EMPTY = "empty answer"
NO_ANSWER = "no answer in the body"
BROKE_OFF = "answer broke off"
NO_FINAL_CHUNK = "stream without its final chunk"
ERROR_EVENT = "error in the stream"
REFUSALS = ("HTTP 429", "HTTP 503")
"""The service says that it can not now: counted apart from what breaks."""


@dataclass(frozen=True)
class Verdict:
    """`fault` is None for a real answer; `text` is the answer, or what there is instead of it."""

    fault: str | None
    text: str
    stages: Mapping[str, float] = field(default_factory=dict)
    """Seconds by stage."""
    tokens: int | None = None
    """Completion tokens, when the server counts them."""


def judge(target: Target, status: int, content_type: str, raw: str, *, complete: bool) -> Verdict:
    """The verdict on a response; `complete` says whether its body ended as HTTP demands."""
    if not 200 <= status < 300:
        return Verdict(f"HTTP {status}", raw)
    if content_type == "text/event-stream":
        return judge_events(raw, complete=complete)
    if content_type == "text/plain":
        return _judge_text(raw) if complete else Verdict(NO_FINAL_CHUNK, raw)
    return judge_json(target, raw) if complete else Verdict(BROKE_OFF, raw)


def judge_json(target: Target, raw: str) -> Verdict:
    """A whole answer: the tutorial's `status` other than 200, a missing and an empty answer are faults."""
    try:
        body = json.loads(raw)
    except ValueError:
        return Verdict(NO_ANSWER, raw)
    text = target.answer_in(body)
    if text is None:
        return Verdict(NO_ANSWER, raw)
    if body.get("status", 200) != 200:
        return Verdict(f"status {body['status']}", text)
    return _judge_text(text, stages=_stages(body.get("timings")))


def judge_events(raw: str, *, complete: bool) -> Verdict:
    """Server-sent events in OpenAI's form: whole only when HTTP's end and `[DONE]` are both there."""
    lines = raw.splitlines()
    text = "".join(map(event_text, lines))
    events = [event for event in map(_event, lines) if event]
    if any("error" in event for event in events):
        return Verdict(ERROR_EVENT, raw)
    if not complete or "[DONE]" not in map(_data, lines):
        return Verdict(NO_FINAL_CHUNK, text)
    usages = [event["usage"] for event in events if isinstance(event.get("usage"), dict)]
    return _judge_text(text, tokens=usages[-1].get("completion_tokens") if usages else None)


def event_text(line: str) -> str:
    """The text that one line of server-sent events adds to the answer.

    >>> event_text('data: {"choices": [{"delta": {"content": "专项"}}]}')
    '专项'
    """
    choices = _event(line).get("choices")
    deltas = [choice.get("delta") for choice in choices or () if isinstance(choice, dict)]
    return "".join(str(delta.get("content") or "") for delta in deltas if isinstance(delta, dict))


def _event(line: str) -> dict[str, Any]:
    """The JSON object of one line; empty when it holds none."""
    data = _data(line)
    if not data.startswith("{"):
        return {}
    try:
        event: dict[str, Any] = json.loads(data)
    except ValueError:
        return {}
    return event


def _data(line: str) -> str:
    return line[5:].strip() if line.startswith("data:") else ""


def _judge_text(text: str, **facts: Any) -> Verdict:
    return Verdict(None if text.strip() else EMPTY, text, **facts)


def _stages(timings: Any) -> dict[str, float]:
    """`timings` in milliseconds as seconds; what is no number stays out."""
    if not isinstance(timings, dict):
        return {}
    return {str(name): ms / 1000 for name, ms in timings.items() if isinstance(ms, int | float)}
