"""An encoder model and its tokenizer, run in batches. Imports torch: import it only where such a model is used."""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from llm_server.faults import first_line
from llm_server.model.loading import pick_device, pick_dtype
from service_kit.errors import ModelUnavailable
from service_kit.settings import Settings

logger = logging.getLogger(__name__)

BATCH = 16
MOST_TOKENS = 1024
"""Of a text; the rest is cut. A window with its title has about 150, a passage for reranking under 1000."""

Pooling = Literal["cls", "mean", "last"]
_FAMILIES: tuple[tuple[str, Pooling], ...] = (("bge", "cls"), ("gte", "cls"), ("qwen", "last"), ("mistral", "last"))


class TextEncoder:
    """Texts -> vectors of unit length (bge, e5, Qwen3-Embedding and kin). For one thread at a time."""

    def __init__(self, name: str, settings: Settings) -> None:
        """Raises ModelUnavailable when the files can not be loaded."""
        self._tokenizer, self._model = _load(name, settings, AutoModel.from_pretrained)
        self._pooling = pooling_of(name)
        if self._pooling == "last":
            self._tokenizer.padding_side = "left"

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text, in their order."""
        return _in_batches(texts, len, self._embed)

    def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        encoded = _encode(self._tokenizer, self._model, texts)
        states = self._model(**encoded).last_hidden_state.float()
        mask = encoded["attention_mask"][..., None]
        if self._pooling == "mean":
            pooled = (states * mask).sum(1) / mask.sum(1)
        else:
            pooled = states[:, 0 if self._pooling == "cls" else -1]
        vectors: list[list[float]] = torch.nn.functional.normalize(pooled, dim=-1).cpu().tolist()
        return vectors


class PairScorer:
    """A cross-encoder (bge-reranker and kin): how well each passage answers a question. For one thread at a time."""

    def __init__(self, name: str, settings: Settings) -> None:
        """Raises ModelUnavailable when the files can not be loaded."""
        self._tokenizer, self._model = _load(name, settings, AutoModelForSequenceClassification.from_pretrained)

    def score(self, question: str, passages: Sequence[str]) -> list[float]:
        """0..1 for each passage."""
        return _in_batches(passages, len, lambda some: self._score(question, some))

    def _score(self, question: str, passages: Sequence[str]) -> list[float]:
        encoded = _encode(self._tokenizer, self._model, [question] * len(passages), passages)
        scores: list[float] = self._model(**encoded).logits[:, -1].float().sigmoid().cpu().tolist()
        return scores


def pooling_of(name: str) -> Pooling:
    """How the model makes one vector of many: as its folder says (sentence-transformers' form), else as its family."""
    try:
        said = json.loads((Path(name) / "1_Pooling" / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return next((pooling for part, pooling in _FAMILIES if part in Path(name).name.lower()), "mean")
    if said.get("pooling_mode_cls_token"):
        return "cls"
    return "last" if said.get("pooling_mode_lasttoken") else "mean"


def _load(name: str, settings: Settings, load: Callable[..., Any]) -> tuple[Any, Any]:
    try:
        device = pick_device(settings.device)
        tokenizer = AutoTokenizer.from_pretrained(name)
        model = load(name, dtype=pick_dtype("auto", device)).to(device).eval()
    except Exception as error:
        logger.exception("can not load %s", name)
        reason = first_line(error)
        raise ModelUnavailable(f"模型 {name} 加载失败：{reason}", f"{name} can not be loaded: {reason}") from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, model


def _encode(tokenizer: Any, model: Any, *texts: Sequence[str]) -> Any:
    longest = getattr(model.config, "max_position_embeddings", MOST_TOKENS)
    longest = min(MOST_TOKENS, longest - 2, tokenizer.model_max_length)  # RoBERTa's positions begin at 2
    return tokenizer(*map(list, texts), padding=True, truncation=True, max_length=longest, return_tensors="pt").to(
        model.device
    )


@torch.inference_mode()
def _in_batches(
    texts: Sequence[str], length: Callable[[str], int], run: Callable[[Sequence[str]], list[Any]]
) -> list[Any]:
    """Texts of like length together: a batch is as slow as its longest."""
    order = sorted(range(len(texts)), key=lambda n: length(texts[n]))
    results: dict[int, Any] = {}
    for at in range(0, len(order), BATCH):
        some = order[at : at + BATCH]
        results.update(zip(some, run([texts[n] for n in some]), strict=True))
    return [results[n] for n in range(len(texts))]
