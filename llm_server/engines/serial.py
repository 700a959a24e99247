"""The plain engine: one transformers `generate()` at a time, first come, first served."""

import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from llm_server.engines.at_exit import leave_without
from llm_server.engines.engine import Load, ModelCard, Prompt, Request
from llm_server.engines.pace import Pace
from llm_server.faults import generation_failed
from llm_server.model.answer import Answer
from llm_server.model.backend import generate_with_transformers, load_with_transformers
from llm_server.model.loaded import LoadedModel
from llm_server.model.prompts import encode, fit_to
from llm_server.model.sampling import Choice, resolve
from service_kit.errors import InvalidRequest, ModelUnavailable, Overloaded
from service_kit.generation import Generation
from service_kit.logs import request_id
from service_kit.settings import Settings

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 10.0


@dataclass(frozen=True, eq=False)
class _Job:
    prompt_ids: list[int]
    choice: Choice
    generation: Generation
    request_id: str


class SerialEngine:
    """Owns one thread, which loads the model and then answers one request after the other.

    At most `queue_limit` requests wait; one whose reader leaves gives up its place at once.
    """

    def __init__(self, settings: Settings, load: Callable[[Settings], LoadedModel] = load_with_transformers) -> None:
        self._settings = settings
        self._loaded: LoadedModel | None = None
        self._fault = ModelUnavailable(
            f"模型 {settings.model} 正在加载",
            f"The model {settings.model} is being loaded",
            retry_after=5,
            details={"loading": True},
        )
        self._waiting: deque[_Job] = deque()
        self._running: _Job | None = None
        self._closing = False
        self._changed = threading.Condition()
        self._pace = Pace()
        self._thread = threading.Thread(target=self._work, args=(load,), name="serial engine", daemon=True)
        self._thread.start()
        atexit.register(self._at_exit)  # torch does not like to be torn down in the middle of a step

    def begin(self, request: Request) -> Generation:
        loaded = self._ready()
        with self._changed:
            self._refuse_if_full()  # before the work of encoding, too
        choice = resolve(request.sampling, loaded.defaults, self._settings.max_tokens)
        ids, max_tokens = fit_to(loaded, request.prompt, choice.max_tokens)
        generation = Generation(request.deadline, request.is_gone)
        generation.model = loaded.name
        job = _Job(ids, replace(choice, max_tokens=max_tokens), generation, request_id.get())
        with self._changed:
            self._refuse_if_full()
            self._waiting.append(job)
            self._changed.notify()
        generation.on_cancel(lambda: self._forget(job))
        return generation

    def card(self) -> ModelCard:
        loaded = self._ready()
        return ModelCard(loaded.name, loaded.max_model_len, loaded.has_chat_template)

    def count(self, prompt: Prompt) -> int:
        return len(encode(self._ready().tokenizer, prompt))

    def score(self, prompts: Sequence[Prompt], following: Sequence[str], request: Request) -> NoReturn:
        raise InvalidRequest("YIJU_ENGINE=serial 不能打分，请用 batch", "YIJU_ENGINE=serial can not score; use batch")

    def load(self) -> Load:
        with self._changed:
            return Load(waiting=len(self._waiting), running=int(self._running is not None))

    def close(self) -> None:
        atexit.unregister(self._at_exit)
        with self._changed:
            self._closing = True
            self._fault = ModelUnavailable("服务正在停止", "The service is stopping")
            self._loaded = None
            jobs = [*self._waiting, self._running]
            self._waiting.clear()
            self._changed.notify()
        for job in jobs:
            if job:
                job.generation.fail(self._fault)
                job.generation.cancel()
        self._thread.join(CLOSE_TIMEOUT_S)

    def _at_exit(self) -> None:
        self.close()
        leave_without(self._thread)

    def _ready(self) -> LoadedModel:
        loaded = self._loaded
        if loaded is None:
            raise self._fault
        return loaded

    def _refuse_if_full(self) -> None:
        ahead = len(self._waiting) + (self._running is not None)
        if ahead > self._settings.queue_limit:
            seconds = self._pace.typical_s
            raise Overloaded(
                f"已有 {ahead} 个请求在处理或等待，约 {seconds:.0f} 秒后有空位",
                f"{ahead} requests are running or waiting; a place is free in about {seconds:.0f} s",
                retry_after=seconds,
            )

    def _forget(self, job: _Job) -> None:
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)

    # The engine's own thread.

    def _work(self, load: Callable[[Settings], LoadedModel]) -> None:
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
        with self._changed:
            if not self._closing:
                self._loaded = loaded
        while job := self._next():
            request_id.set(job.request_id)
            began = time.monotonic()
            try:
                self._answer(loaded, job)
            except Exception as error:  # whatever a model raises belongs to this request alone
                logger.exception("generation failed")
                job.generation.fail(generation_failed(error))
            self._pace.add(time.monotonic() - began)

    def _next(self) -> _Job | None:
        with self._changed:
            self._running = None
            self._changed.wait_for(lambda: self._waiting or self._closing)
            if self._closing:
                return None
            self._running = self._waiting.popleft()
            return self._running

    def _answer(self, loaded: LoadedModel, job: _Job) -> None:
        if error := job.generation.why_stop():
            return job.generation.fail(error)
        answer = Answer(
            job.generation,
            job.choice,
            len(job.prompt_ids),
            loaded.stop_ids,
            lambda ids: str(loaded.tokenizer.decode(ids, skip_special_tokens=True)),
        )
        generate_with_transformers(loaded, job.prompt_ids, job.choice, answer)
        return answer.close()
