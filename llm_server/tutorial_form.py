"""The tutorial's answers of `POST /`: `{"response", "history", "status", "time"}`."""

from datetime import datetime
from typing import Any

from service_kit.errors import GenerationFailed, YijuError

PATH = "/"
FAILED = 444


def answered(text: str) -> dict[str, Any]:
    return _body(text, [], 200)


def failed(error: GenerationFailed) -> dict[str, Any]:
    """Sent with HTTP 200, as in the tutorial."""
    return _body(f"大模型预测出错:{error.words.zh}", [["", ""]], FAILED)


def refused(body: dict[str, Any], error: YijuError) -> dict[str, Any]:
    """Our own error body with the tutorial's keys beside it, so that its clients can print the message."""
    return _body(body["error"]["message"], [["", ""]], error.status) | body


def _body(response: str, history: list[list[str]], status: int) -> dict[str, Any]:
    # The tutorial's clock: local time, to the second.
    time = datetime.now().strftime("%Y-%m-%d %H:%M:%S")
    return {"response": response, "history": history, "status": status, "time": time}
