"""A model's answer on its way: what is asked for, and the pieces of text as they come.

Knows nothing of models, tokens or HTTP: the maker may be a thread that runs a model or a connection to a server.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from service_kit.deadline import Deadline
from service_kit.errors import ClientGone, YijuError

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length"]
"""`stop`: the model ended, or met a stop string. `length`: max_tokens or the context window is used up."""

_WATCH_EVERY_S = 0.1
"""How often a reader without news looks whether its client is still there."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; None leaves the choice to the model's own defaults."""

    temperature: float | None = None
    """0 is greedy."""
    top_p: float | None = None
    top_k: int | None = None
    """0 is no limit."""
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None


@dataclass(frozen=True)
class Usage:
    """Tokens read and made."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Generation:
    """One answer, made in one thread and read in another.

    The reader iterates once over the pieces of text; afterwards `finish_reason` and `usage` hold. The maker calls
    `emit` for each piece and `finish` or `fail` once, and asks `why_stop` at each step: a reader that leaves, a client
    that hangs up and a deadline that passes all end the making.
    """

    def __init__(self, deadline: Deadline, is_gone: Callable[[], bool] = lambda: False) -> None:
        self.deadline = deadline
        self.finish_reason: FinishReason | None = None
        self.usage = Usage()
        self.model = ""
        """The name of the model that answers; holds from the first piece on."""
        self._is_gone = is_gone
        self._pieces: queue.SimpleQueue[str | YijuError | None] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._on_cancel: Callable[[], object] = lambda: None

    # The reader's side.

    def __iter__(self) -> Iterator[str]:
        """The pieces of text, none of them empty.

        Raises:
            DeadlineExceeded: the deadline passed before the end.
            ClientGone: the client hung up.
            YijuError: what the maker failed with.
        """
        try:
            while True:
                try:
                    piece = self._pieces.get(timeout=self.deadline.remaining(at_most=_WATCH_EVERY_S))
                except queue.Empty:
                    if self._is_gone():
                        raise ClientGone from None
                    continue
                if piece is None:
                    return
                if isinstance(piece, YijuError):
                    raise piece
                yield piece
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Say that nobody reads on. Does nothing the second time, nor after the end."""
        if not self._cancelled.is_set():
            self._cancelled.set()
            self._on_cancel()

    # The maker's side.

    def on_cancel(self, callback: Callable[[], object]) -> None:
        """Call `callback` (from the reader's thread) when the reader leaves, also when that was after the end."""
        self._on_cancel = callback
        if self._cancelled.is_set():
            callback()

    def why_stop(self) -> YijuError | None:
        """Why the making should end now, or None."""
        if self._cancelled.is_set() or self._is_gone():
            return ClientGone()
        return self.deadline.error()

    def emit(self, piece: str) -> None:
        if piece:
            self._pieces.put(piece)

    def finish(self, reason: FinishReason, usage: Usage) -> None:
        self.finish_reason, self.usage = reason, usage
        self._pieces.put(None)

    def fail(self, error: YijuError) -> None:
        self._pieces.put(error)
