"""`POST /v1/embeddings` and `POST /v1/rerank`. Their models are loaded at the first request."""

import base64
import struct
import threading
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from flask import Flask
from pydantic import Field

from service_kit.errors import ModelUnavailable
from service_kit.settings import Settings
from service_kit.web import Body, read_body

MOST_TEXTS = 256
Text = Annotated[str, Field(min_length=1)]
Model = TypeVar("Model")
Result = TypeVar("Result")


class EmbeddingsBody(Body):
    """OpenAI's form; `model` is ignored, there is one."""

    allowed: ClassVar[Mapping[str, str]] = {
        "input": f'"…" | ["…", …], <= {MOST_TEXTS}',
        "encoding_format": "float | base64",
    }
    input: Text | Annotated[tuple[Text, ...], Field(min_length=1, max_length=MOST_TEXTS)]
    encoding_format: Literal["float", "base64"] | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.input,) if isinstance(self.input, str) else self.input


class RerankBody(Body):
    """Jina's and Cohere's form; `model` is ignored."""

    allowed: ClassVar[Mapping[str, str]] = {
        "query": "non-empty string",
        "documents": f'["…", …], <= {MOST_TEXTS}',
        "top_n": ">= 1",
    }
    query: Text
    documents: tuple[str, ...] = Field(min_length=1, max_length=MOST_TEXTS)
    top_n: int | None = Field(None, ge=1)


def add_encoder_routes(app: Flask, settings: Settings) -> None:
    """Add both routes; without their settings they answer 503 and say which one it is."""
    local = settings.embed_model if settings.embedder == "local" else None
    encoder = _Lazy("YIJU_EMBEDDER=local, YIJU_EMBED_MODEL", local, _encoder(settings))
    scorer = _Lazy("YIJU_RERANK_MODEL", settings.rerank_model, _scorer(settings))

    @app.post("/v1/embeddings")
    def embeddings() -> dict[str, Any]:
        body = read_body(EmbeddingsBody)
        vectors = encoder.use(lambda model: model.embed(body.texts))
        as_text = body.encoding_format == "base64"
        data = [
            {"object": "embedding", "index": n, "embedding": _packed(vector) if as_text else vector}
            for n, vector in enumerate(vectors)
        ]
        return {"object": "list", "model": encoder.name, "data": data, "usage": {"prompt_tokens": 0, "total_tokens": 0}}

    @app.post("/v1/rerank")
    def rerank() -> dict[str, Any]:
        body = read_body(RerankBody)
        scores = scorer.use(lambda model: model.score(body.query, body.documents))
        order = sorted(range(len(scores)), key=lambda n: -scores[n])[: body.top_n]
        return {"model": scorer.name, "results": [{"index": n, "relevance_score": scores[n]} for n in order]}


class _Lazy(Generic[Model]):
    """A model that is loaded when it is first wanted and used by one thread at a time."""

    def __init__(self, setting: str, name: str | None, load: Callable[[str], Model]) -> None:
        self.name = name
        self._setting = setting
        self._load = load
        self._lock = threading.Lock()
        self._model: Model | None = None

    def use(self, run: Callable[[Model], Result]) -> Result:
        """Raises ModelUnavailable when none is set or it can not be loaded."""
        if self.name is None:
            raise ModelUnavailable(f"没有设置 {self._setting}", f"{self._setting} is not set")
        with self._lock:
            if self._model is None:
                self._model = self._load(self.name)
            return run(self._model)


def _encoder(settings: Settings) -> Callable[[str], Any]:
    def load(name: str) -> Any:
        from llm_server.encoders.model import TextEncoder  # noqa: PLC0415  # torch

        return TextEncoder(name, settings)

    return load


def _scorer(settings: Settings) -> Callable[[str], Any]:
    def load(name: str) -> Any:
        from llm_server.encoders.model import PairScorer  # noqa: PLC0415  # torch

        return PairScorer(name, settings)

    return load


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
