"""The vectors of an index of passages as their users see them, whatever engine keeps them."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from service_kit.deadline import Deadline
from service_kit.dense.vectors import Matrix, Vector
from service_kit.dense.windows import VERSION as WINDOWS_VERSION
from service_kit.errors import VectorsMismatch

WINDOWS_A_PASSAGE = 2
"""Windows looked for, for each passage wanted: several of the nearest are often of one passage."""


@dataclass(frozen=True)
class Likeness:
    """How near a passage is to a question: the cosine of its best window, and which one that is (from 0)."""

    cosine: float
    window: int


class Near(NamedTuple):
    """By passage id: about as many of the nearest as were wanted, and those of the given ones that have vectors."""

    nearest: dict[str, Likeness]
    given: dict[str, Likeness]


class VectorIndex(Protocol):
    """Keeps the windows' vectors by passage and searches them. Safe to share between threads.

    Passages are known by their ids, which change with their text: a vector is never out of date. Every method may
    raise DependencyDown where a server keeps the vectors.
    """

    def check_identity(self, identity: str, dimension: int | None = None) -> None:
        """Raises VectorsMismatch when the vectors here are another model's, or not of `dimension` numbers."""

    def near(self, question: Vector, count: int, given: Sequence[str], deadline: Deadline) -> Near:
        """The `count` passages nearest to a question, and what it is to the `given` ones. Raises DeadlineExceeded."""

    def filling(self, *, wait: bool) -> AbstractContextManager[bool]:
        """Hold the right to write; gives False when another process has it and `wait` is False."""

    def add(self, identity: str, passages: Mapping[str, Matrix]) -> None:
        """Store passages' windows, by passage id. What a kill leaves of a passage is never taken for all of it.

        Raises:
            VectorsMismatch: the vectors here are another model's, or of another length.
            IndexLocked: the right to write was lost to another process.
        """

    def remove(self, passages: Iterable[str]) -> None:
        """Take passages' windows out; unknown ids do no harm."""

    def drop(self) -> None:
        """Forget all vectors and whose they were."""

    def settle(self, *, finished: bool) -> None:
        """After `add`: let searches find what was stored, quickly too when it was the last."""

    def refresh(self) -> None:
        """Take in what other processes stored; cheap when that is little."""

    def passages(self) -> set[str]:
        """The ids of the passages that have all of their vectors."""

    def count(self) -> tuple[int, int]:
        """How many passages and windows there are."""

    def close(self) -> None:
        """Let go of files and connections."""


def full_identity(identity: str) -> str:
    """What vectors depend on: the embedder, and how windows are cut."""
    return f"{identity} (windows {WINDOWS_VERSION})"


def of_another_model(stored: str, wanted: str) -> VectorsMismatch:
    """Both as `full_identity` gives them."""
    return VectorsMismatch(
        f"已有向量来自 {stored}，而现在设置的是 {wanted}，两者不能混用：改回 YIJU_EMBEDDER，"
        "或运行 python -m es_index --drop-vectors 后重建向量",
        f"The stored vectors are of {stored}, but the settings name {wanted}, and the two can not be "
        "mixed: set YIJU_EMBEDDER back, or run python -m es_index --drop-vectors and have them made anew",
        details={"stored": stored, "wanted": wanted},
    )


def of_another_length(identity: str, given: int, stored: int) -> VectorsMismatch:
    """A model that gives other numbers of numbers than it did."""
    return VectorsMismatch(
        f"模型 {identity} 的向量有 {given} 维，已有的是 {stored} 维；请运行 python -m es_index --drop-vectors 后重建",
        f"Vectors of {identity} have {given} numbers, the stored ones {stored}; run python -m es_index --drop-vectors "
        "and have them made anew",
    )
