"""An embedder for tests that is quick and still knows what a text is about: hashed bigrams."""

import hashlib
import threading
from collections.abc import Sequence

import numpy as np

from service_kit.deadline import Deadline
from service_kit.dense.vectors import Matrix, Vector, unit
from service_kit.errors import DependencyDown

DIMENSION = 64
SAME = {"欠薪": "拖欠工资", "老板": "用人单位", "娃": "儿童"}
"""Words that mean the same to this embedder, and share no character."""


def bunched(rows: int, dimension: int = 64) -> np.ndarray:
    """Vectors in bunches and all on one side, as those of texts are."""
    dice = np.random.default_rng(1)
    bunches = dice.normal(size=(40, dimension))
    return unit(bunches[dice.integers(40, size=rows)] + 0.7 * dice.normal(size=(rows, dimension)) + 1.0)


class BigramEmbedder:
    """Real vectors of a poor model: texts that share bigrams, or words of SAME, are near to each other."""

    def __init__(self, identity: str = "bigrams", fail: bool = False) -> None:
        self.identity = identity
        self.fail = fail
        self.calls = 0
        self.gate = threading.Event()
        """Passages are embedded only while it is set."""
        self.gate.set()

    def embed_query(self, question: str, deadline: Deadline) -> Vector:
        deadline.remaining()
        self._refuse()
        vector: Vector = _embed([question])[0]
        return vector

    def embed_passages(self, texts: Sequence[str]) -> Matrix:
        self.gate.wait(30)
        self._refuse()
        return _embed(texts)

    def close(self) -> None:
        """Nothing is open."""

    def _refuse(self) -> None:
        self.calls += 1
        if self.fail:
            raise DependencyDown("嵌入服务不可用", "The embedder is down")


def _embed(texts: Sequence[str]) -> Matrix:
    matrix = np.full((len(texts), DIMENSION), 0.01, np.float32)
    for row, text in zip(matrix, texts, strict=True):
        for word, same in SAME.items():
            text = text.replace(word, same)  # noqa: PLW2901
        for at in range(len(text) - 1):
            digest = hashlib.blake2b(text[at : at + 2].encode(), digest_size=4).digest()
            row[int.from_bytes(digest) % DIMENSION] += 1
    return unit(matrix)
