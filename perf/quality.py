"""`python -m perf.quality FILE`: how well each trainable type learns, beside other people's learners on the same rows.

The file is a CSV (gzip or not), its rows in the order of time; the last 20% test. Each of ours is trained as a job does
it and scored as the API scores. Beside them: scikit-learn's LogisticRegression with its default penalty, converged, on
the same one-hot columns, and LightGBM with its defaults on the same categories. The last line is JSON.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Mapping
from csv import DictReader
from pathlib import Path
from typing import Any
from uuid import UUID

import lightgbm
import msgspec
import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from kaireon_application.learning.fitting.design import Design
from kaireon_application.learning.fitting.fits import FITS, measured
from kaireon_application.learning.training import PlannedFeature, TrainingPlan
from kaireon_core.column import Column, Floats
from kaireon_core.learning.configs import GradientBoostedConfig
from kaireon_core.learning.definitions import ModelType
from kaireon_core.learning.feature import FeatureKind
from kaireon_core.learning.training_set import TrainingSet, prepare_training_set
from kaireon_ml_worker.gradient_boosting import grow_trees

_NOBODY = UUID(int=0)
_TOLD = ("auc", "aucStandardError", "logLoss", "brier", "calibrationError")
_COUNTERPARTS = {
    "bayesian": "scikit-learn LogisticRegression",
    "logistic_regression": "scikit-learn LogisticRegression",
    "gradient_boosted": "LightGBM",
}


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m perf.quality", description=__doc__)
    parser.add_argument("file", type=Path, help="a CSV with a header, in the order of time")
    parser.add_argument("--target", default="y", help="the column to predict")
    parser.add_argument("--positive", default="yes", help="its value that is positive")
    parser.add_argument("--drop", default="duration", help="columns to leave out, separated by commas")
    arguments = parser.parse_args()
    columns = _read(arguments.file, frozenset(arguments.drop.split(",")))
    results = measure(columns, arguments.target, arguments.positive)
    for name, metrics in results.items():
        print(f"{name:34}" + "  ".join(f"{metric} {metrics[metric]:.4f}" for metric in _TOLD))
    for ours, theirs in _COUNTERPARTS.items():
        print(f"{ours} - {theirs}: AUC {results[ours]['auc'] - results[theirs]['auc']:+.4f}")
    told = {name: {metric: round(metrics[metric], 5) for metric in _TOLD} for name, metrics in results.items()}
    print(msgspec.json.encode(told).decode())


def measure(columns: Mapping[str, Column], target: str, positive: object) -> dict[str, dict[str, Any]]:
    """Return the metrics on the last 20% of the rows of each of ours, and of the others."""
    features = tuple(
        PlannedFeature(name=name, kind=FeatureKind.NUMERIC if column.is_number.any() else FeatureKind.TEXT)
        for name, column in columns.items()
        if name != target
    )
    predictors = [(feature.name, feature.kind, columns[feature.name]) for feature in features]
    rows = prepare_training_set(columns[target], predictors, (positive,))
    plan = TrainingPlan(
        training_id=_NOBODY,
        tenant_id=_NOBODY,
        model_type=ModelType.BAYESIAN,
        schema_key="",
        target_field=target,
        features=features,
        config={},
        positives=(positive,),
    )
    results = dict[str, dict[str, Any]]()
    for model_type in (ModelType.BAYESIAN, ModelType.LOGISTIC_REGRESSION):
        mine = msgspec.structs.replace(plan, model_type=model_type)
        results[model_type.value] = FITS[model_type](mine, columns, _ignored).metrics
    grown = grow_trees(rows, GradientBoostedConfig(), 1, _ignored)
    results["gradient_boosted"] = measured(rows, grown.scores)
    for name, learn in (("scikit-learn LogisticRegression", _scikit), ("LightGBM", _lightgbm)):
        results[name] = measured(rows, learn(rows))
    return results


def _scikit(rows: TrainingSet) -> Floats:
    everything = Design.of(rows)
    training = np.concatenate([matrix for matrix, _ in everything.chunks()])
    learner: Any = LogisticRegression(max_iter=5000, tol=1e-8)
    learner.fit(training[:, :-1], rows.labels[: rows.validation_start])
    return np.asarray(learner.predict_proba(everything.filled(rows.matrix)[:, :-1]), np.float64)[:, 1]


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
