"""One answer under way: tokens in, text out to the reader, until something ends it."""

from collections.abc import Callable, Collection, Sequence

from llm_server.model.detokenizer import Detokenizer
from llm_server.model.sampling import Choice
from llm_server.model.stop_strings import StopStrings
from service_kit.errors import YijuError
from service_kit.generation import FinishReason, Generation, Usage


class Answer:
    """Knows nothing of models: whoever chooses the tokens gives them to `take` until `ended`, then calls `close`."""

    def __init__(
        self,
        generation: Generation,
        choice: Choice,
        prompt_tokens: int,
        stop_ids: Collection[int],
        decode: Callable[[Sequence[int]], str],
    ) -> None:
        self.ended = False
        self._generation = generation
        self._max_tokens = choice.max_tokens
        self._prompt_tokens = prompt_tokens
        self._tokens = 0
        self._stop_ids = stop_ids
        self._detokenizer = Detokenizer(decode)
        self._stop_strings = StopStrings(choice.stop)
        self._reason: FinishReason = "length"
        self._error: YijuError | None = None

    def take(self, token_id: int) -> None:
        """The next token."""
        self._tokens += 1
        self._generation.usage = self._usage()
        if token_id in self._stop_ids:
            return self._end("stop")
        self._generation.emit(self._stop_strings.push(self._detokenizer.push(token_id)))
        if self._stop_strings.met:
            return self._end("stop")
        if self._tokens >= self._max_tokens:
            return self._end("length")
        self._error = self._generation.why_stop()
        self.ended = self._error is not None
        return None

    def close(self) -> None:
        """Show what is still held back and tell the reader how it ended."""
        if self._error:
            return self._generation.fail(self._error)
        self._generation.emit(self._stop_strings.push(self._detokenizer.flush()) + self._stop_strings.flush())
        # The last characters may complete a stop string.
        return self._generation.finish("stop" if self._stop_strings.met else self._reason, self._usage())

    def _end(self, reason: FinishReason) -> None:
        self.ended, self._reason = True, reason

    def _usage(self) -> Usage:
        return Usage(self._prompt_tokens, self._tokens)
