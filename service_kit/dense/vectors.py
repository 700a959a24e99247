"""Vectors as arrays and as bytes. Pure functions; the only file that says in what form they are kept."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
"""Shape (n, dimension), each row of unit length."""
Vector = NDArray[np.float32]
"""Shape (dimension,), of unit length."""

_LEVELS = 127


def unit(matrix: NDArray[np.floating]) -> Matrix:
    """Each row at length 1; a row of zeros stays."""
    rows = np.asarray(matrix, np.float32)
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), np.float32)


def to_bytes(vector: Vector) -> bytes:
    """Half precision: an error of 1e-4 in a cosine, half the room."""
    return vector.astype(np.float16).tobytes()


def from_bytes(rows: list[bytes], dimension: int) -> Matrix:
    """Back again, as one matrix."""
    joined = np.frombuffer(b"".join(rows), np.float16)
    return joined.reshape(len(rows), dimension).astype(np.float32)


def to_int8(matrix: Matrix) -> NDArray[np.int8]:
    """Each row stretched to the whole range of a byte. A cosine does not ask how long a vector is, so nothing else has
    to be kept; scaling unit vectors by 127 would leave most components of a long vector at a few levels."""
    peaks = np.abs(matrix).max(axis=-1, keepdims=True)
    return np.asarray(np.rint(matrix * (_LEVELS / np.maximum(peaks, 1e-12))), np.int8)
