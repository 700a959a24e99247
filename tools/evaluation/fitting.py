"""Fits the weights of a choice among alternatives and of a yes or no, by Newton's method with an L2 penalty."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
PENALTY = 3.0
"""On the squares of the weights of signals scaled to a standard deviation of 1."""
STEPS = 12


def fit_choice(signals: Matrix, right: Matrix, question: NDArray[np.int64]) -> Matrix:
    """Weights (m) under which the right alternatives are most probable: softmax over each question's alternatives.

    signals: (n, m), one row for each alternative. right: (n), 1 for those that hold the answer, at least one for each
    question. question: (n), numbers from 0.
    """
    scale = signals.std(axis=0) + 1e-9
    x = signals / scale
    weights = np.zeros(x.shape[1])
    for _ in range(STEPS):
        power = np.exp(x @ weights)
        p = power / _sums(power, question)[question]
        given = power * right
        wanted = given / _sums(given, question)[question]
        mean = np.zeros((question.max() + 1, x.shape[1]))
        np.add.at(mean, question, x * p[:, None])
        curvature = (x * p[:, None]).T @ x - mean.T @ mean + PENALTY * np.eye(len(weights))
        weights += np.linalg.solve(curvature, x.T @ (wanted - p) - PENALTY * weights)
    return np.asarray(weights / scale)


def fit_logistic(signals: Matrix, yes: Matrix, counts: Matrix) -> tuple[Matrix, float]:
    """Weights (m) and the constant of a logistic regression; rows count `counts` (n) times."""
    mean, scale = signals.mean(axis=0), signals.std(axis=0) + 1e-9
    x = np.c_[(signals - mean) / scale, np.ones(len(yes))]
    penalty = PENALTY * np.eye(x.shape[1])
    penalty[-1, -1] = 0.0
    weights = np.zeros(x.shape[1])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-(x @ weights)))
        curvature = (x * (counts * p * (1 - p))[:, None]).T @ x + penalty
        weights += np.linalg.solve(curvature, x.T @ (counts * (yes - p)) - penalty @ weights)
    unscaled = weights[:-1] / scale
    return unscaled, float(weights[-1] - unscaled @ mean)


def _sums(values: Matrix, group: NDArray[np.int64]) -> Matrix:
    return np.asarray(np.bincount(group, values), np.float64)
