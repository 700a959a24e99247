"""The batching engine's door: any thread may ask, one thread owns the model."""

import atexit
import logging
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence as Many
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from llm_server.batch.sequence import Sequence
from llm_server.engines.at_exit import leave_without
from llm_server.engines.engine import Load, ModelCard, Prompt, Request
from llm_server.engines.pace import Pace
from llm_server.faults import first_line
from llm_server.model.answer import Answer
from llm_server.model.backend import load_with_transformers
from llm_server.model.loaded import LoadedModel
from llm_server.model.prompts import encode, encode_one_token, fit_to
from llm_server.model.sampling import resolve
from service_kit.errors import InvalidRequest, ModelUnavailable, Overloaded
from service_kit.generation import Generation, Sampling
from service_kit.logs import request_id
from service_kit.settings import Settings

if TYPE_CHECKING:
    from llm_server.batch.assemble import Parts

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 10.0


class BatchEngine:
    """Owns one thread, which loads the model and then makes one token after the other for all requests at once.

    If that thread dies (a defect: what goes wrong with one request ends that request only), all requests in the engine
    get 503 and a second thread takes over with the same model; if that dies too, the engine stays down.
    """

    def __init__(self, settings: Settings, load: Callable[[Settings], LoadedModel] = load_with_transformers) -> None:
        self._settings = settings
        self._loaded: LoadedModel | None = None
        self._parts: Parts | None = None
        self._fault = ModelUnavailable(
            f"模型 {settings.model} 正在加载",
            f"The model {settings.model} is being loaded",
            retry_after=5,
            details={"loading": True},
        )
        self._changed = threading.Condition()
        """Guards all of this object, and of the scheduler its waiting line: the rest belongs to the thread, and what
        others read of it (`free_rows`) may be one step old."""
        self._closing = False
        self._restarted = False
        self._pace = Pace()
        self._ended = 0
        """Requests that ended in this step; the step before in which any ended was at `_last_end`."""
        self._last_end = 0.0
        self._tokens_per_s = 0.0
        self._seen = Load(waiting=0, running=0)
        self._thread = threading.Thread(target=self._begin_work, args=(load,), name="batch engine", daemon=True)
        self._thread.start()
        atexit.register(self._at_exit)  # torch does not like to be torn down in the middle of a step

    def begin(self, request: Request) -> Generation:
        loaded, parts = self._ready()
        with self._changed:
            self._refuse_if_full(parts)  # before the work of encoding, too
        choice = resolve(request.sampling, loaded.defaults, self._settings.max_tokens)
        ids, max_tokens = self._fit(loaded, parts, request.prompt, choice.max_tokens)
        generation = Generation(request.deadline, request.is_gone)
        generation.model = loaded.name
        choice = replace(choice, max_tokens=max_tokens)
        answer = Answer(
            generation,
            choice,
            len(ids),
            loaded.stop_ids,
            lambda ids: str(loaded.tokenizer.decode(ids, skip_special_tokens=True)),
        )
        self._queue(parts, [Sequence(ids, choice, generation, answer, request_id.get())])
        return generation

    def score(self, prompts: Many[Prompt], following: Many[str], request: Request) -> list[list[float]]:
        loaded, parts = self._ready()
        next_ids = tuple(encode_one_token(loaded.tokenizer, text) for text in following)
        choice = resolve(Sampling(temperature=0, repetition_penalty=1, max_tokens=1), loaded.defaults, 1)
        sequences = []
        for prompt in prompts:
            ids, _ = self._fit(loaded, parts, prompt, 1)
            generation = Generation(request.deadline, request.is_gone)
            sequences.append(Sequence(ids, choice, generation, None, request_id.get(), next_ids))
        self._queue(parts, sequences)
        try:
            for sequence in sequences:
                for _ in sequence.generation:
                    pass
        finally:
            for sequence in sequences:
                sequence.generation.cancel()
        return [sequence.log_probs for sequence in sequences]

    def card(self) -> ModelCard:
        loaded, parts = self._ready()
        return ModelCard(loaded.name, self._window(loaded, parts), loaded.has_chat_template)

    def count(self, prompt: Prompt) -> int:
        return len(encode(self._ready()[0].tokenizer, prompt))

    def load(self) -> Load:
        with self._changed:
            return self._seen._replace(waiting=len(self._parts.scheduler.waiting) if self._parts else 0)

    def close(self) -> None:
        atexit.unregister(self._at_exit)
        with self._changed:
            self._closing = True
            self._fault = ModelUnavailable("服务正在停止", "The service is stopping")
            self._changed.notify()
        self._thread.join(CLOSE_TIMEOUT_S)
        self._loaded = None

    def _at_exit(self) -> None:
        self.close()
        leave_without(self._thread)

    # What asking threads do.

    def _ready(self) -> "tuple[LoadedModel, Parts]":
        with self._changed:
            if self._loaded is None or self._parts is None or self._closing:
                raise self._fault
            return self._loaded, self._parts

    def _window(self, loaded: LoadedModel, parts: "Parts") -> int:
        """Tokens that prompt and answer may have together: a row must fit into the memory, too."""
        return min(loaded.max_model_len or parts.scheduler.kv_tokens, parts.scheduler.kv_tokens)

    def _fit(self, loaded: LoadedModel, parts: "Parts", prompt: Prompt, max_tokens: int) -> tuple[list[int], int]:
        bounded = replace(loaded, max_model_len=self._window(loaded, parts))
        ids, max_tokens = fit_to(bounded, prompt, max_tokens)
        if not ids:
            raise InvalidRequest("提示没有任何词元", "The prompt has no tokens")
        return ids, max_tokens

    def _queue(self, parts: "Parts", sequences: list[Sequence]) -> None:
        with self._changed:
            if parts is not self._parts:  # the thread died meanwhile
                raise self._fault
            self._refuse_if_full(parts)
            parts.scheduler.waiting.extend(sequences)
            self._changed.notify()
        for sequence in sequences:
            sequence.generation.on_cancel(partial(self._forget, parts, sequence))

    def _forget(self, parts: "Parts", sequence: Sequence) -> None:
        """Its reader has left: out of the waiting line at once; the thread finds out by itself if it runs."""
        with self._changed:
            if sequence in parts.scheduler.waiting:
                parts.scheduler.waiting.remove(sequence)

    def _refuse_if_full(self, parts: "Parts") -> None:
        scheduler = parts.scheduler
        if len(scheduler.waiting) >= self._settings.queue_limit + scheduler.free_rows:
            ahead = len(scheduler.waiting) + self._seen.running
            seconds = self._pace.typical_s
            raise Overloaded(
                f"已有 {ahead} 个请求在处理或等待，约 {seconds:.0f} 秒后有空位",
                f"{ahead} requests are running or waiting; a place is free in about {seconds:.0f} s",
                retry_after=seconds,
            )

    # The engine's own thread.

    def _begin_work(self, load: Callable[[Settings], LoadedModel]) -> None:
        try:
            loaded = load(self._settings)
        except ModelUnavailable as error:
            logger.warning("no model: %s", error)
            self._fault = error
            return
        except Exception as error:  # whatever it was: not for ever "being loaded"
            logger.exception("the model can not be loaded")
            self._fault = ModelUnavailable(f"模型加载失败：{error!r}", f"The model can not be loaded: {error!r}")
            return
        if not self._closing:
            self._work(loaded)

    def _work(self, loaded: LoadedModel) -> None:
        from llm_server.batch.assemble import assemble  # noqa: PLC0415  # only where a model is loaded: torch

        try:
            parts = assemble(loaded, self._settings, self._one_ended)
            with self._changed:
                self._loaded, self._parts = loaded, parts
            while self._next(parts):
                began = time.monotonic()
                made = parts.stepper.step()
                self._tokens_per_s += 0.1 * (made / max(time.monotonic() - began, 1e-6) - self._tokens_per_s)
                self._note_ends()
                self._see(parts)
        except ModelUnavailable as error:  # not a model for this engine
            logger.warning("no model: %s", error)
            self._fault = error
        except BaseException as error:  # noqa: BLE001  # nobody is above this frame
            self._die(loaded, error)

    def _next(self, parts: "Parts") -> bool:
        """Wait for something to do and let in who may. Returns whether to go on."""
        with self._changed:
            if parts.scheduler.idle:
                self._tokens_per_s = 0.0
                self._see(parts)
                self._changed.wait_for(lambda: self._closing or not parts.scheduler.idle)
                self._last_end = time.monotonic()
            if self._closing:
                self._end_all(self._fault)
                return False
            parts.scheduler.admit()
            self._see(parts)
        return True

    def _die(self, loaded: LoadedModel, error: BaseException) -> None:
        """The last act of a thread that met a defect."""
        logger.critical("the engine's thread died", exc_info=error)
        reason = first_line(error)
        with self._changed:
            last = self._restarted or self._closing
            self._fault = ModelUnavailable(
                f"推理线程崩溃（{reason}）{'，已停止' if last else '，正在重启'}",
                f"The engine's thread died ({reason}) and {'stays down' if last else 'is being restarted'}",
            )
            self._loaded = None
            self._end_all(self._fault)
            if last:
                return
            self._restarted = True
            self._thread = threading.Thread(target=self._work, args=(loaded,), name="batch engine", daemon=True)
            self._thread.start()

    def _end_all(self, fault: ModelUnavailable) -> None:
        parts, self._parts = self._parts, None
        for sequence in parts.scheduler.clear() if parts else []:
            sequence.generation.fail(fault)
        self._seen = Load(waiting=0, running=0)

    def _one_ended(self, _: Sequence) -> None:
        self._ended += 1

    def _note_ends(self) -> None:
        """Rows that end in the same step share the time since others ended."""
        if self._ended:
            now = time.monotonic()
            self._pace.add((now - self._last_end) / self._ended)
            self._ended, self._last_end = 0, now

    def _see(self, parts: "Parts") -> None:
        """What `load` tells until the next step."""
        scheduler, prefixes = parts.scheduler, parts.prefixes
        self._seen = Load(
            waiting=0,
            running=scheduler.rows,
            kv_used=scheduler.promised,
            kv_total=scheduler.kv_tokens,
            prefix_lookups=prefixes.lookups,
            prefix_hits=prefixes.hits,
            prefix_tokens_reused=prefixes.tokens_reused,
            prefix_tokens_kept=prefixes.tokens,
            tokens_per_s=self._tokens_per_s,
        )
