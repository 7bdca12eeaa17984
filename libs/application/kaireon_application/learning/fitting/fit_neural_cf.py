"""Neural collaborative filtering, fitted by gradient descent on mini-batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from kaireon_application.learning.fitting.fit_linear import OnStep
from kaireon_core.column import Floats
from kaireon_core.learning.configs import NeuralCfConfig
from kaireon_core.learning.neural_cf import NeuralCfState
from kaireon_core.learning.training_set import TrainingSet

# The most frequent ones have a point of their own; the others are as not known.
MOST_EMBEDDINGS = 50_000
_DIGITS = 6
_SMALL = 1e-8

Parameters: TypeAlias = dict[str, Floats]


def fit_neural_cf(rows: TrainingSet, config: NeuralCfConfig, on_step: OnStep) -> NeuralCfState:
    """Return embeddings and weights with a small log-loss on the training rows; feature 0 is the user, 1 the item.

    Xavier initialisation (Glorot and Bengio 2010), each step scaled by what its parameter has moved (Adagrad: Duchi,
    Hazan and Singer 2011), which suits rare ids; seeded.
    """
    end = rows.validation_start
    users, user_names = _known(rows, 0)
    items, item_names = _known(rows, 1)
    rng = np.random.default_rng(config.seed)
    parameters = _initial(rng, len(user_names), len(item_names), config)
    moved = {name: np.full_like(values, _SMALL) for name, values in parameters.items()}
    for epoch in range(1, config.epochs + 1):
        order = rng.permutation(end)
        for start in range(0, end, config.batch_size):
            batch = order[start : start + config.batch_size]
            gradients = _gradients(parameters, users[batch], items[batch], rows.labels[batch], config.l2)
            for name, gradient in gradients.items():
                moved[name] += gradient**2
                parameters[name] -= config.learning_rate * gradient / np.sqrt(moved[name])
        on_step(epoch, config.epochs)
    return _state(parameters, user_names, item_names, config)


def _known(rows: TrainingSet, place: int) -> tuple[NDArray[np.int64], list[str]]:
    """Return each training row's number among the frequent ids, len(names) for any other, and their names."""
    codes = rows.matrix[: rows.validation_start, place].astype(np.int64)
    names = [str(name) for name in rows.features[place].categories]
    counts = np.bincount(codes, minlength=len(names) + 1)
    counts[0] = 0
    frequent = np.argsort(-counts, kind="stable")[:MOST_EMBEDDINGS]
    kept = np.sort(frequent[counts[frequent] > 0])
    number = np.full(len(counts), len(kept), np.int64)
    number[kept] = np.arange(len(kept))
    return number[codes], [names[code - 1] for code in kept.tolist()]


def _initial(rng: np.random.Generator, users: int, items: int, config: NeuralCfConfig) -> Parameters:
    def xavier(rows: int, columns: int) -> Floats:
        bound = np.sqrt(6 / (rows + columns))
        return rng.uniform(-bound, bound, (rows, columns))

    dimension, hidden = config.embedding_dim, config.hidden_dim
    return {
        "user": rng.normal(0, 0.1, (users + 1, dimension)),
        "item": rng.normal(0, 0.1, (items + 1, dimension)),
        "hidden": xavier(2 * dimension, hidden),
        "hidden_bias": np.zeros(hidden),
        "output": xavier(hidden, 1)[:, 0],
        "output_bias": np.zeros(1),
    }


def _gradients(
    parameters: Parameters, users: NDArray[np.int64], items: NDArray[np.int64], labels: Floats, l2: float
) -> Parameters:
    """Return the gradient of the batch's mean log-loss, of its sum for the points: each is in few rows."""
    points = np.hstack([parameters["user"][users], parameters["item"][items]])
    before = points @ parameters["hidden"] + parameters["hidden_bias"]
    after = np.maximum(before, 0)
    error = expit(after @ parameters["output"] + parameters["output_bias"][0]) - labels
    to_hidden = error[:, None] * parameters["output"] * (before > 0)
    to_points = to_hidden @ parameters["hidden"].T + l2 * points
    dimension, count = parameters["user"].shape[1], len(labels)
    of_users, of_items = np.zeros_like(parameters["user"]), np.zeros_like(parameters["item"])
    np.add.at(of_users, users, to_points[:, :dimension])
    np.add.at(of_items, items, to_points[:, dimension:])
    return {
        "user": of_users,
        "item": of_items,
        "hidden": points.T @ to_hidden / count + l2 * parameters["hidden"],
        "hidden_bias": to_hidden.mean(axis=0),
        "output": after.T @ error / count + l2 * parameters["output"],
        "output_bias": np.array([error.mean()]),
    }


def _state(parameters: Parameters, users: list[str], items: list[str], config: NeuralCfConfig) -> NeuralCfState:
    def vector(values: Floats) -> tuple[float, ...]:
        return tuple(round(value, _DIGITS) for value in values.tolist())

    def named(names: list[str], points: Floats) -> Mapping[str, tuple[float, ...]]:
        return {name: vector(point) for name, point in zip(names, points, strict=False)}

    return NeuralCfState(
        embedding_dim=config.embedding_dim,
        hidden_dim=config.hidden_dim,
        user_embeddings=dict(named(users, parameters["user"])),
        item_embeddings=dict(named(items, parameters["item"])),
        w_hidden=tuple(vector(row) for row in parameters["hidden"]),
        b_hidden=vector(parameters["hidden_bias"]),
        w_output=vector(parameters["output"]),
        b_output=round(float(parameters["output_bias"][0]), _DIGITS),
    )
