"""Linear regression, fitted in closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from kaireon_application.learning.fitting.design import Design
from kaireon_core.column import Floats
from kaireon_core.learning.configs import LinearRegressionConfig
from kaireon_core.learning.linear import LinearState
from kaireon_core.learning.training_set import TrainingSet

# Told after each step how many are done, of how many; may raise to stop.
OnStep: TypeAlias = Callable[[int, int], None]


def fit_linear(rows: TrainingSet, config: LinearRegressionConfig, on_step: OnStep) -> LinearState:
    """Return the weights of ridge regression: (X'X / n + l2 I) w = X'y / n, the bias not held back.

    Hoerl and Kennard 1970.
    """
    design = Design.of(rows)
    size, count = len(design.columns) + 1, rows.validation_start
    gram, moments = np.zeros((size, size)), np.zeros(size)
    for done, (matrix, targets) in enumerate(design.chunks(), 1):
        gram += matrix.T @ matrix
        moments += matrix.T @ targets
        on_step(done, done)
    return design.state(solved(gram / count, moments / count, penalties(config.l2, size)))


def penalties(l2: float, size: int) -> Floats:
    """Return how strongly each weight is held back: the bias, the last one, not at all."""
    return np.append(np.full(size - 1, l2), 0.0)


def solved(matrix: Floats, right: Floats, held_back: Floats) -> Floats:
    """Return the solution of a symmetric system, the smallest one where there are many."""
    system = matrix + np.diag(held_back)
    try:
        return np.linalg.solve(system, right).astype(np.float64)
    except np.linalg.LinAlgError:
        return np.linalg.lstsq(system, right, rcond=None)[0].astype(np.float64)
