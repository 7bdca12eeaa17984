"""Grow gradient-boosted trees with LightGBM, the same ones whenever rows and config are the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightgbm
import msgspec
import numpy as np
from scipy.special import expit

from kaireon_application.learning.training import TrainedModel
from kaireon_core.column import Floats
from kaireon_core.learning.configs import GradientBoostedConfig
from kaireon_core.learning.gradient_boosted import GradientBoostedState
from kaireon_core.learning.measurement import classification_metrics
from kaireon_core.learning.training_set import TrainingSet
from kaireon_storage.boosting import load_trees

# Told after each round how many have been grown; may raise to stop.
OnRound = Callable[[int], None]


def grow_trees(rows: TrainingSet, config: GradientBoostedConfig, threads: int, on_round: OnRound) -> TrainedModel:
    """Return the trees grown on the first rows, stopped early and measured on the last ones."""
    start = rows.validation_start
    booster = _grow(rows, config, threads, on_round)
    rounds = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
    text = booster.model_to_string(num_iteration=rounds)
    # Measured through the path that scores: what is stored is what was measured.
    scores: Floats = expit(load_trees(text).raw(rows.matrix[start:]))
    labels = rows.labels
    gains = np.asarray(booster.feature_importance("gain", iteration=rounds), np.float64)
    shares = gains / gains.sum() if gains.sum() > 0 else gains
    return TrainedModel(
        state=msgspec.to_builtins(GradientBoostedState(features=rows.features, trees=text)),
        metrics={
            **classification_metrics(labels[start:], scores),
            "rows": len(labels),
            "positives": int(labels.sum()),
            "validationRows": len(labels) - start,
            "validationPositives": int(labels[start:].sum()),
            "iterations": rounds,
        },
        training={
            "engine": f"lightgbm {lightgbm.__version__}",
            "config": msgspec.to_builtins(config),
        },
        importances={feature.name: float(share) for feature, share in zip(rows.features, shares.tolist(), strict=True)},
    )


def _grow(rows: TrainingSet, config: GradientBoostedConfig, threads: int, on_round: OnRound) -> lightgbm.Booster:
    start = rows.validation_start
    parameters = _parameters(config, threads)
    training = lightgbm.Dataset(
        rows.matrix[:start],
        rows.labels[:start],
        params=parameters,
        # LightGBM refuses some characters in names; the version keeps the real ones, in order.
        feature_name=[f"f{index}" for index in range(len(rows.features))],
        categorical_feature=[index for index, feature in enumerate(rows.features) if feature.is_categorical],
    )
    validation = training.create_valid(rows.matrix[start:], rows.labels[start:])

    def after_round(environment: lightgbm.callback.CallbackEnv) -> None:
        on_round(environment.iteration + 1)

    callbacks: list[Callable[..., Any]] = [after_round]
    if config.early_stopping_rounds > 0:
        callbacks.append(lightgbm.early_stopping(config.early_stopping_rounds, verbose=False))
    return lightgbm.train(
        parameters, training, num_boost_round=config.num_iterations, valid_sets=[validation], callbacks=callbacks
    )


def _parameters(config: GradientBoostedConfig, threads: int) -> dict[str, Any]:
    return {
        "objective": "binary",
        "metric": "binary_logloss",
        "verbosity": -1,
        "seed": config.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "learning_rate": config.learning_rate,
        "num_leaves": config.num_leaves,
        "max_depth": config.max_depth,
        "min_data_in_leaf": config.min_data_in_leaf,
        "feature_fraction": config.feature_fraction,
        "bagging_fraction": config.bagging_fraction,
        "bagging_freq": 1 if config.bagging_fraction < 1 else 0,
        "lambda_l1": config.lambda_l1,
        "lambda_l2": config.lambda_l2,
    }
