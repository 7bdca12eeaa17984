"""Logistic regression, fitted to the end by Newton's method, or for some epochs by gradient descent."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from kaireon_application.learning.fitting.design import Design
from kaireon_application.learning.fitting.fit_linear import OnStep, penalties, solved
from kaireon_core.column import Floats
from kaireon_core.learning.configs import LogisticRegressionConfig
from kaireon_core.learning.linear import LinearState
from kaireon_core.learning.training_set import TrainingSet

_MOST_STEPS = 50
_SMALL_STEP = 1e-10
_MOST_HALVINGS = 30
_DEFAULT_RATE = 0.1
_DEFAULT_EPOCHS = 20
_BATCH_ROWS = 256


def fit_logistic(rows: TrainingSet, config: LogisticRegressionConfig, on_step: OnStep) -> LinearState:
    """Return the weights with the least mean log-loss + l2 / 2 times the squared weights, the bias not held back."""
    design = Design.of(rows)
    if config.solver == "sgd" or (config.solver == "auto" and (config.learning_rate or config.epochs)):
        return design.state(_descended(design, config, on_step))
    return design.state(_newton(design, config.l2, on_step))


def _newton(design: Design, l2: float, on_step: OnStep) -> Floats:
    """Iteratively reweighted least squares, a step halved while it makes the loss worse (Hastie et al. 2009, 4.4.1)."""
    size = len(design.columns) + 1
    held_back, weights = penalties(l2, size), np.zeros(size)
    loss, gradient, curvature = _loss(design, weights, held_back)
    for step in range(1, _MOST_STEPS + 1):
        # A little curvature where there is none, so that perfectly separable rows end too.
        direction = solved(curvature, gradient, held_back + 1e-12)
        scale = 1.0
        for _ in range(_MOST_HALVINGS):
            moved = weights - scale * direction
            found = _loss(design, moved, held_back)
            if found[0] <= loss:
                break
            scale /= 2
        else:
            break
        weights, (loss, gradient, curvature) = moved, found
        on_step(step, _MOST_STEPS)
        if np.abs(scale * direction).max() < _SMALL_STEP:
            break
    return weights


def _loss(design: Design, weights: Floats, held_back: Floats) -> tuple[float, Floats, Floats]:
    """Return the loss at some weights, its gradient and its curvature without the penalty's."""
    size, count = len(weights), design.rows.validation_start
    loss, gradient, curvature = 0.0, np.zeros(size), np.zeros((size, size))
    for matrix, labels in design.chunks():
        raw = matrix @ weights
        chance = expit(raw)
        loss += float(np.sum(np.logaddexp(0, raw) - labels * raw))
        gradient += matrix.T @ (chance - labels)
        curvature += (matrix * (chance * (1 - chance))[:, None]).T @ matrix
    penalty = float(np.sum(held_back * weights**2)) / 2
    return loss / count + penalty, gradient / count + held_back * weights, curvature / count


def _descended(design: Design, config: LogisticRegressionConfig, on_step: OnStep) -> Floats:
    """Mini-batch gradient descent; the rate falls with the square root of the epoch (Bottou 2012)."""
    size, count = len(design.columns) + 1, design.rows.validation_start
    held_back, weights = penalties(config.l2, size), np.zeros(size)
    rng, epochs = np.random.default_rng(config.seed), config.epochs or _DEFAULT_EPOCHS
    for epoch in range(1, epochs + 1):
        rate = (config.learning_rate or _DEFAULT_RATE) / epoch**0.5
        for matrix, labels in design.chunks(rng.permutation(count), _BATCH_ROWS):
            gradient = matrix.T @ (expit(matrix @ weights) - labels) / len(labels)
            weights -= rate * (gradient + held_back * weights)
        on_step(epoch, epochs)
    return weights
