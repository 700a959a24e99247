"""Who makes vectors: the interface."""

from collections.abc import Sequence
from typing import Protocol

from service_kit.deadline import Deadline
from service_kit.dense.vectors import Matrix, Vector


class Embedder(Protocol):
    """Makes vectors of texts. Safe to share between threads."""

    @property
    def identity(self) -> str:
        """What the vectors depend on: model, prefixes. Vectors of two identities must never meet."""

    def embed_query(self, question: str, deadline: Deadline) -> Vector:
        """The vector of a question.

        Raises:
            DependencyDown: the embedder does not answer or answers nonsense.
            DeadlineExceeded: not within the deadline.
        """

    def embed_passages(self, texts: Sequence[str]) -> Matrix:
        """The vectors of windows, in their order; takes as long as it takes. Raises DependencyDown as above; NoVectors
        where others of the texts may have vectors."""

    def close(self) -> None:
        """Let go of connections."""
