"""One request over HTTP, with the moments that matter; aiohttp, so that thousands a second fit on one core."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import aiohttp

from service_kit.settings import Settings
from tools.load_test.judge import Verdict, event_text, judge
from tools.load_test.target import Message, Target

EVENTS = "text/event-stream"


@dataclass(frozen=True)
class Exchange:
    """What one request brought; moments on the clock that the client was given, in seconds."""

    verdict: Verdict
    raw: str
    """The whole body as text."""
    started: float
    ended: float
    pieces: tuple[float, ...] = ()
    """When each piece of text came; of an answer in JSON none."""
    retry_after: float | None = None


class Client:
    """Asks one target; `async with` it. Connections are kept and never go through a proxy: questions are private."""

    def __init__(self, target: Target, settings: Settings, clock: Callable[[], float], timeout_s: float) -> None:
        self.target = target
        self._clock = clock
        headers = {"Content-Type": "application/json"}
        if settings.own_key:
            headers["Authorization"] = f"Bearer {settings.own_key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            headers=headers,
            trust_env=False,
        )

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, question: str, session: str, history: Sequence[Message] = ()) -> Exchange:
        """Never raises for what the server does: that is the verdict's fault."""
        payload = json.dumps(self.target.payload(question, session, history), ensure_ascii=False).encode()
        started = self._clock()
        try:
            async with self._session.post(self.target.url, data=payload, allow_redirects=False) as response:
                return await self._read(response, started)
        except TimeoutError:
            fault, reason = "timeout", ""
        except aiohttp.ClientConnectorError as error:
            fault, reason = "no connection", str(error)
        except aiohttp.ClientError as error:
            fault, reason = "connection broke", f"{type(error).__name__} {error}"
        return Exchange(Verdict(fault, reason), "", started, self._clock())

    async def _read(self, response: aiohttp.ClientResponse, started: float) -> Exchange:
        body = _Body(self._clock, events=response.content_type == EVENTS)
        complete = await body.read(response)
        ended = self._clock()
        raw = body.text
        return Exchange(
            judge(self.target, response.status, response.content_type, raw, complete=complete),
            raw,
            started,
            ended,
            tuple(body.pieces) if response.content_type in (EVENTS, "text/plain") else (),
            _seconds(response.headers.get("Retry-After")),
        )


class _Body:
    """A response's body as it comes, and when the pieces of its text came."""

    def __init__(self, clock: Callable[[], float], *, events: bool) -> None:
        self._clock = clock
        self._events = events
        self._parts: list[bytes] = []
        self._line = b""
        self.pieces: list[float] = []

    async def read(self, response: aiohttp.ClientResponse) -> bool:
        """Read all that comes. Returns whether it ended as HTTP says that a body must."""
        begins_chunk = True
        try:
            async for data, ends_chunk in response.content.iter_chunks():
                self._parts.append(data)
                if self._events:
                    self._note_events(data)
                elif data and begins_chunk:
                    self.pieces.append(self._clock())
                begins_chunk = ends_chunk
        except aiohttp.ClientError:
            return False
        # A body that only the closed connection ends may have been cut anywhere.
        return "Content-Length" in response.headers or "Transfer-Encoding" in response.headers

    def _note_events(self, data: bytes) -> None:
        *lines, self._line = (self._line + data).split(b"\n")
        now = self._clock()
        self.pieces += [now for line in lines if event_text(line.decode("utf-8", "replace"))]

    @property
    def text(self) -> str:
        return b"".join(self._parts).decode("utf-8", "replace")


def _seconds(value: str | None) -> float | None:
    """A `Retry-After` in seconds; the other form, a date, is not what our services send."""
    return float(value) if value and value.isdecimal() else None
