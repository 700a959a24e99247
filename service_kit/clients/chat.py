"""Asks any server that speaks OpenAI's `/v1/chat/completions`, as a stream that can be cancelled at any moment."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, cast

import httpx2
import pybreaker
from openai import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncOpenAI,
    AsyncStream,
    DefaultAsyncHttpxClient,
    NotFoundError,
    OpenAIError,
    omit,
)
from openai.types.chat import ChatCompletionChunk

from service_kit import deadline as deadlines
from service_kit.clients.breaker import CONNECT_TIMEOUT_S, OPEN_FOR_S, down, make_breaker
from service_kit.clients.chat_errors import interrupted, translate_status
from service_kit.clients.loop_thread import LoopThread
from service_kit.deadline import Deadline
from service_kit.errors import DeadlineExceeded, DependencyDown, YijuError
from service_kit.generation import FinishReason, Generation, Message, Sampling, Usage
from service_kit.logs import request_id

logger = logging.getLogger(__name__)

MODELS_TIMEOUT_S = 5.0


class ChatClient:
    """Chats with `name` at `url` (with or without `/v1`); safe to share between threads.

    Nothing is asked twice. After FAILURES_TO_OPEN connections in a row that failed, calls fail at once for OPEN_FOR_S
    seconds instead of waiting for a host that does not answer.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        timeout_s: float,
        api_key: str | None = None,
        model: str | None = None,
        extensions: bool = False,
    ) -> None:
        """`model` None: the first that the server lists. `extensions`: also send what is not in OpenAI's protocol."""
        self.name = name
        self.url = url
        self._timeout_s = timeout_s
        self._model = model
        self._listed: str | None = None
        self._extensions = extensions
        self._openai = AsyncOpenAI(
            base_url=url if url.endswith("/v1") else f"{url}/v1",
            api_key=api_key or "none",
            max_retries=0,
            timeout=httpx2.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            # trust_env: an outward proxy must never see a private question.
            http_client=DefaultAsyncHttpxClient(trust_env=False),
        )
        self._breaker = make_breaker(name, lambda error: not isinstance(error, APIConnectionError))
        self._open_calls: set[Future[None]] = set()
        self._loop = LoopThread(f"{name} client")

    def begin(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        deadline: Deadline,
        is_gone: Callable[[], bool] = lambda: False,
    ) -> Generation:
        """Send the request; all that comes of it, errors too, is read from the generation.

        Its iteration may raise, beside what Generation says:
            DependencyDown: no connection, a 5xx, or the key is refused.
            DeadlineExceeded: the server said 504.
            Overloaded: the server said 429; its Retry-After is passed on.
            InvalidRequest: the server said another 4xx; ContextTooLong when it names that.
            GenerationFailed: the server said 500, or broke off after it had begun.
        """
        generation = Generation(deadline.sooner(self._timeout_s), is_gone)
        headers = {
            "X-Request-ID": request_id.get(),
            deadlines.HEADER: deadlines.to_header(generation.deadline.remaining()),
        }
        future = self._loop.start(self._fill(generation, messages, sampling, headers))
        self._open_calls.add(future)
        future.add_done_callback(self._open_calls.discard)
        generation.on_cancel(future.cancel)
        return generation

    @property
    def running(self) -> int:
        """Answers under way."""
        return len(self._open_calls)

    def model(self) -> str:
        """The model that is asked; always asks the server for its list, so this also shows that it is there.

        Raises:
            DependencyDown, DeadlineExceeded: as `begin`.
        """
        future = self._loop.start(self._ask_model())
        try:
            return future.result(MODELS_TIMEOUT_S)
        except TimeoutError:
            future.cancel()
            raise DeadlineExceeded(f"{self.name} 没有回应", f"{self.name} does not answer") from None

    def close(self) -> None:
        """Cancel what still runs, close the connections and end the client's thread."""
        self._loop.close(self._openai.close())

    async def _fill(
        self, generation: Generation, messages: Sequence[Message], sampling: Sampling, headers: dict[str, str]
    ) -> None:
        try:
            async with await self._open(messages, sampling, headers) as chunks:
                generation.finish(*await self._pass_on(chunks, generation))
        except YijuError as error:
            generation.fail(error)
        except Exception as error:  # noqa: BLE001  # whatever a foreign server sends, the reader must hear of an end
            logger.warning("%s broke off: %r", self.name, error)
            generation.fail(interrupted(self.name))

    async def _pass_on(
        self, chunks: AsyncStream[ChatCompletionChunk], generation: Generation
    ) -> tuple[FinishReason, Usage]:
        reason: FinishReason | None = None
        usage = Usage()
        async for chunk in chunks:
            generation.model = chunk.model
            for choice in chunk.choices:
                generation.emit(choice.delta.content or "")
                if choice.finish_reason:
                    reason = "length" if choice.finish_reason == "length" else "stop"
            if chunk.usage:
                usage = Usage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
        if reason is None:
            raise interrupted(self.name)
        return reason, usage

    async def _open(
        self, messages: Sequence[Message], sampling: Sampling, headers: dict[str, str]
    ) -> AsyncStream[ChatCompletionChunk]:
        model = self._model or self._listed or await self._ask_model()
        extra = {"top_k": sampling.top_k, "repetition_penalty": sampling.repetition_penalty}
        with self._translated_errors(), self._breaker.calling():
            return await self._openai.chat.completions.create(
                model=model,
                messages=cast(Any, [asdict(message) for message in messages]),
                stream=True,
                stream_options={"include_usage": True},
                temperature=_given(sampling.temperature),
                top_p=_given(sampling.top_p),
                seed=_given(sampling.seed),
                stop=list(sampling.stop) or omit,
                max_tokens=_given(sampling.max_tokens),
                extra_headers=headers,
                extra_body=extra if self._extensions else None,
            )

    async def _ask_model(self) -> str:
        with self._translated_errors(), self._breaker.calling():
            try:
                names = [model.id async for model in self._openai.models.list()]
            except NotFoundError:  # some servers chat but list nothing
                names = []
        if not self._model and not names:
            raise DependencyDown(
                f"{self.name}（{self.url}）没有列出模型：请设置 YIJU_MODEL",
                f"{self.name} ({self.url}) lists no model: set YIJU_MODEL",
            )
        self._listed = names[0] if names else None
        return self._model or names[0]

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except pybreaker.CircuitBreakerError:
            raise down(self.name, self.url, "刚才多次失败，稍后再试 / failing, paused", OPEN_FOR_S) from None
        except APIStatusError as error:
            raise translate_status(self.name, self.url, error) from None
        except APITimeoutError as error:
            if isinstance(error.__cause__, httpx2.ConnectTimeout):
                raise down(self.name, self.url, "ConnectTimeout", OPEN_FOR_S) from None
            raise DeadlineExceeded(f"{self.name} 没有回应", f"{self.name} does not answer") from None
        except (OpenAIError, ValueError) as error:
            reason = type(error.__cause__ or error).__name__
            logger.warning("%s at %s: %s", self.name, self.url, reason)
            raise down(self.name, self.url, reason, OPEN_FOR_S) from None


def _given(value: Any) -> Any:
    return omit if value is None else value
