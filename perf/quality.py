"""`python -m perf.quality FILE`: how well each trainable type learns, beside other people's learners on the same rows.

The file is a CSV (gzip or not), its rows in the order of time; the last 20% test. Each of ours is trained as a job does
it and scored as the API scores. Beside them: scikit-learn's LogisticRegression with its default penalty, converged, on
the same one-hot columns, and LightGBM with its defaults on the same categories. `neural_cf` knows two columns, `--ids`,
and beside it scikit-learn the same two. `linear_regression` predicts `--number` from everything but the target;
beside it is scikit-learn's LinearRegression. The last line is JSON.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Mapping, Sequence
from csv import DictReader
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import lightgbm
import msgspec
import numpy as np
from scipy.special import expit
from sklearn.linear_model import LinearRegression, LogisticRegression

from kaireon_application.learning.fitting.design import Design
from kaireon_application.learning.fitting.fits import FITS, measured
from kaireon_application.learning.training import PlannedFeature, TrainingPlan
from kaireon_core.column import Column, Floats
from kaireon_core.learning.configs import GradientBoostedConfig
from kaireon_core.learning.definitions import ModelType
from kaireon_core.learning.feature import FeatureKind
from kaireon_core.learning.training_set import TrainingSet, prepare_regression_set, prepare_training_set
from kaireon_ml_worker.gradient_boosting import grow_trees

_NOBODY = UUID(int=0)
_TOLD = ("auc", "aucStandardError", "logLoss", "brier", "calibrationError", "rmse", "mae", "r2")
_LOGISTIC, _OF_IDS = "scikit-learn LogisticRegression", "scikit-learn LogisticRegression of the ids"
_LINEAR, _LIGHTGBM = "scikit-learn LinearRegression", "LightGBM"
# Beside whom each of ours stands, and in what.
_COUNTERPARTS = {
    "bayesian": (_LOGISTIC, "auc"),
    "logistic_regression": (_LOGISTIC, "auc"),
    "gradient_boosted": (_LIGHTGBM, "auc"),
    "neural_cf": (_OF_IDS, "auc"),
    "linear_regression": (_LINEAR, "rmse"),
}
Results: TypeAlias = dict[str, dict[str, Any]]


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m perf.quality", description=__doc__)
    parser.add_argument("file", type=Path, help="a CSV with a header, in the order of time")
    parser.add_argument("--target", default="y", help="the column to predict")
    parser.add_argument("--positive", default="yes", help="its value that is positive")
    parser.add_argument("--drop", default="duration", help="columns to leave out, separated by commas")
    parser.add_argument("--ids", default="job,education", help="the two columns whose values are ids for neural_cf")
    parser.add_argument("--number", default="balance", help="the column that linear_regression predicts")
    arguments = parser.parse_args()
    columns = _read(arguments.file, frozenset(arguments.drop.split(",")))
    results = measure(columns, arguments.target, arguments.positive, arguments.ids.split(","))
    results |= measure_number({name: columns[name] for name in columns if name != arguments.target}, arguments.number)
    told = {name: {one: metrics[one] for one in _TOLD if one in metrics} for name, metrics in results.items()}
    for name, metrics in told.items():
        print(f"{name:46}" + "  ".join(f"{metric} {value:.4f}" for metric, value in metrics.items()))
    for ours, (theirs, metric) in _COUNTERPARTS.items():
        print(f"{ours} - {theirs}: {metric} {told[ours][metric] - told[theirs][metric]:+.4f}")
    rounded = {name: {one: round(value, 5) for one, value in metrics.items()} for name, metrics in told.items()}
    print(msgspec.json.encode(rounded).decode())


def measure(columns: Mapping[str, Column], target: str, positive: object, ids: Sequence[str]) -> Results:
    """Return the metrics on the last 20% of the rows of each of ours that tells classes, and of the others."""
    plan = _plan(columns, target, positive)
    rows, of_ids = (
        prepare_training_set(columns[target], [(one, kinds[one], columns[one]) for one in kinds], (positive,))
        for kinds in (_kinds(columns, target), dict.fromkeys(ids, FeatureKind.TEXT))
    )
    results = {one.value: _fitted(plan, one, columns) for one in (ModelType.BAYESIAN, ModelType.LOGISTIC_REGRESSION)}
    results["gradient_boosted"] = measured(rows, grow_trees(rows, GradientBoostedConfig(), 1, _ignored).scores)
    features = tuple(PlannedFeature(name=name, kind=FeatureKind.TEXT) for name in ids)
    named = {"userField": ids[0], "itemField": ids[1]}
    plan = msgspec.structs.replace(plan, features=features, config=named)
    results["neural_cf"] = _fitted(plan, ModelType.NEURAL_CF, columns)
    others = ((_LOGISTIC, _logistic, rows), (_LIGHTGBM, _lightgbm, rows), (_OF_IDS, _logistic, of_ids))
    return results | {name: measured(learnt, learn(learnt)) for name, learn, learnt in others}


def measure_number(columns: Mapping[str, Column], target: str) -> Results:
    """Return the metrics of our regression of a number on the other columns, and of scikit-learn's."""
    kinds = _kinds(columns, target)
    rows = prepare_regression_set(columns[target], [(name, kinds[name], columns[name]) for name in kinds])
    ours = _fitted(_plan(columns, target, 1), ModelType.LINEAR_REGRESSION, columns)
    return {"linear_regression": ours, _LINEAR: measured(rows, _linear(rows), is_regression=True)}


def _fitted(plan: TrainingPlan, model_type: ModelType, columns: Mapping[str, Column]) -> dict[str, Any]:
    return FITS[model_type](msgspec.structs.replace(plan, model_type=model_type), columns, _ignored).metrics


def _kinds(columns: Mapping[str, Column], target: str) -> dict[str, FeatureKind]:
    return {
        name: FeatureKind.NUMERIC if column.is_number.any() else FeatureKind.TEXT
        for name, column in columns.items()
        if name != target
    }


def _plan(columns: Mapping[str, Column], target: str, positive: object) -> TrainingPlan:
    return TrainingPlan(
        training_id=_NOBODY,
        tenant_id=_NOBODY,
        model_type=ModelType.BAYESIAN,
        schema_key="",
        target_field=target,
        features=tuple(PlannedFeature(name=name, kind=kind) for name, kind in _kinds(columns, target).items()),
        config={},
        positives=(positive,),
    )


def _logistic(rows: TrainingSet) -> Floats:
    learner: Any = LogisticRegression(max_iter=5000, tol=1e-8)
    training, everything = _one_hot(rows)
    learner.fit(training, rows.labels[: rows.validation_start])
    return np.asarray(learner.predict_proba(everything), np.float64)[:, 1]


def _linear(rows: TrainingSet) -> Floats:
    training, everything = _one_hot(rows)
    learner: Any = LinearRegression().fit(training, rows.labels[: rows.validation_start])
    return np.asarray(learner.predict(everything), np.float64)


def _one_hot(rows: TrainingSet) -> tuple[Floats, Floats]:
    """Return our columns of the training rows, and of all rows, without the one of the bias."""
    everything = Design.of(rows)
    training = np.concatenate([matrix for matrix, _ in everything.chunks()])
    return training[:, :-1], everything.filled(rows.matrix)[:, :-1]


def _lightgbm(rows: TrainingSet) -> Floats:
    start = rows.validation_start
    categorical = [place for place, feature in enumerate(rows.features) if feature.is_categorical]
    data = lightgbm.Dataset(rows.matrix[:start], rows.labels[:start], categorical_feature=categorical)
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1, "deterministic": True, "seed": 0}
    raw = lightgbm.train(parameters, data).predict(rows.matrix, raw_score=True)
    return expit(np.asarray(raw, np.float64))


def _read(path: Path, dropped: frozenset[str]) -> dict[str, Column]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = list(DictReader(text.decode().splitlines()))
    return {name: Column.from_values(_typed([row[name] for row in rows])) for name in rows[0] if name not in dropped}


def _typed(values: list[str]) -> list[object]:
    """Return the values as numbers if all of them are."""
    try:
        return [float(value) for value in values]
    except ValueError:
        return list(values)


def _ignored(_done: int, _total: int) -> None:
    return None


if __name__ == "__main__":
    main()
