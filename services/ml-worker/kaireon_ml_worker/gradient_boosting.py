"""Grow gradient-boosted trees with LightGBM, the same ones whenever rows and config are the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np

from kaireon_application.learning.fitting.fit_calibration import fit_calibration
from kaireon_core.column import Floats
from kaireon_core.learning.calibration import calibrate_by
from kaireon_core.learning.configs import ClassWeight, GradientBoostedConfig
from kaireon_core.learning.gradient_boosted import GradientBoostedState
from kaireon_core.learning.training_set import TrainingSet
from kaireon_storage.boosting import load_trees

# Of the rows that train, the last ones: they stop the growing early and calibrate, then help to grow the final trees.
HELD_SHARE = 0.2

# Told after each round how many have been grown, of how many at most; may raise to stop.
OnRound = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """Trees with their calibration, the score that they give each row of the set, and how they came about."""

    state: GradientBoostedState
    scores: Floats
    iterations: int
    importances: dict[str, float]
    training: dict[str, Any]


def grow_trees(rows: TrainingSet, config: GradientBoostedConfig, threads: int, on_round: OnRound) -> Grown:
    """Return the trees of the training rows; the validating rows have no part in them.

    First trees are grown on the earlier 80% of the training rows; the later 20% say how many, and how their log-odds
    become probabilities. Then so many trees are grown on all training rows.
    """
    end = rows.validation_start
    inner = end - int(end * HELD_SHARE)
    rounds, calibration = config.num_iterations, None
    told: dict[str, Any] = {"method": "none", "reason": "the held-out rows are of one class"}
    if _has_both(rows.labels[:inner]) and _has_both(rows.labels[inner:end]):
        first = _grow(rows, slice(0, inner), slice(inner, end), config, threads, on_round)
        rounds = first.best_iteration if first.best_iteration > 0 else first.current_iteration()
        raw = load_trees(first.model_to_string(num_iteration=rounds)).raw(rows.matrix[inner:end])
        calibration, told = fit_calibration(config.calibration, rows.labels[inner:end], raw)
    done, total = config.num_iterations, config.num_iterations + rounds
    final = _grow(
        rows, slice(0, end), None, config, threads, lambda grown, _most: on_round(done + grown, total), rounds=rounds
    )
    text = final.model_to_string()
    gains = np.asarray(final.feature_importance("gain"), np.float64)
    shares = gains / gains.sum() if gains.sum() > 0 else gains
    return Grown(
        state=GradientBoostedState(features=rows.features, trees=text, calibration=calibration),
        # Through the path that scores: what is stored is what is measured.
        scores=calibrate_by(calibration)(load_trees(text).raw(rows.matrix)),
        iterations=rounds,
        importances={feature.name: float(share) for feature, share in zip(rows.features, shares.tolist(), strict=True)},
        training={
            "engine": f"lightgbm {lightgbm.__version__}",
            "heldOut": {
                "rows": end - inner,
                "use": "early stopping and calibration, then growing the final trees",
            },
            "calibration": told,
        },
    )


def _has_both(labels: Floats) -> bool:
    return bool(len(labels)) and labels.min() != labels.max()


def _grow(
    rows: TrainingSet,
    training: slice,
    held: slice | None,
    config: GradientBoostedConfig,
    threads: int,
    on_round: OnRound,
    *,
    rounds: int | None = None,
) -> lightgbm.Booster:
    parameters = _parameters(rows, config, threads)
    most = rounds or config.num_iterations
    data = _dataset(rows, training, config, parameters)

    def after_round(environment: lightgbm.callback.CallbackEnv) -> None:
        on_round(environment.iteration + 1, 2 * most)

    callbacks: list[Callable[..., Any]] = [after_round]
    if held is not None and config.early_stopping_rounds > 0:
        callbacks.append(lightgbm.early_stopping(config.early_stopping_rounds, verbose=False))
    return lightgbm.train(
        parameters,
        data,
        num_boost_round=most,
        valid_sets=[] if held is None else [_dataset(rows, held, config, parameters, data)],
        callbacks=callbacks,
    )


def _dataset(
    rows: TrainingSet,
    part: slice,
    config: GradientBoostedConfig,
    parameters: dict[str, Any],
    training: lightgbm.Dataset | None = None,
) -> lightgbm.Dataset:
    labels = rows.labels[part]
    return lightgbm.Dataset(
        rows.matrix[part],
        labels,
        reference=training,
        weight=_weights(labels, rows.labels[: rows.validation_start], config),
        params=parameters,
        # LightGBM refuses some characters in names; the version keeps the real ones, in order.
        feature_name=[f"f{index}" for index in range(len(rows.features))],
        categorical_feature=[index for index, feature in enumerate(rows.features) if feature.is_categorical],
    )


def _weights(labels: Floats, all_labels: Floats, config: GradientBoostedConfig) -> Floats | None:
    """Return the weight of each row: that of the positive class, 1 for the other; None where all weigh the same."""
    if config.class_weight is None:
        return None
    if isinstance(config.class_weight, ClassWeight):
        positive = config.class_weight.positive
    else:
        positive = float((all_labels == 0).sum() / max(1.0, float(all_labels.sum())))
    return np.where(labels == 1, positive, 1.0)


def _parameters(rows: TrainingSet, config: GradientBoostedConfig, threads: int) -> dict[str, Any]:
    parameters = {
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
    if not any(config.monotone_constraints.values()):
        return parameters
    directions = [config.monotone_constraints.get(feature.name, 0) for feature in rows.features]
    return {**parameters, "monotone_constraints": directions}
