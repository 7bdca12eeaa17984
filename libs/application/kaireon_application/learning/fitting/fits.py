"""How a model of each type is fitted in process: a closed table, and what every fit has around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from kaireon_application.learning.columns_table import ColumnsTable, scores_of
from kaireon_application.learning.fitting.fit_bayesian import fit_bayesian
from kaireon_application.learning.fitting.fit_linear import OnStep, fit_linear
from kaireon_application.learning.fitting.fit_logistic import fit_logistic
from kaireon_application.learning.fitting.fit_neural_cf import fit_neural_cf
from kaireon_application.learning.fitting.local_trainer import Fit
from kaireon_application.learning.refusals import refusal_error
from kaireon_application.learning.training import INTERACTIONS, TrainedModel, TrainingPlan
from kaireon_core.column import Column, Floats
from kaireon_core.learning.compile import compile_model
from kaireon_core.learning.configs import parse_config
from kaireon_core.learning.definitions import ModelType
from kaireon_core.learning.feature import FeatureKind
from kaireon_core.learning.gradient_boosted import Trees
from kaireon_core.learning.measurement import classification_metrics, regression_metrics
from kaireon_core.learning.model import Model
from kaireon_core.learning.reference import reference_of
from kaireon_core.learning.terms import text_of
from kaireon_core.learning.training_set import (
    VALIDATION_SHARE,
    TrainingRefused,
    TrainingSet,
    prepare_regression_set,
    prepare_training_set,
)

Learn = Callable[[TrainingSet, Any, OnStep], Any]


@dataclass(frozen=True, slots=True)
class _Fit:
    """A way to learn a state from rows, whose target is a class unless it is a number."""

    learn: Learn
    is_regression: bool = False
    # Whether every feature is an id: a category, whatever its type.
    is_of_ids: bool = False

    def __call__(self, plan: TrainingPlan, columns: Mapping[str, Column], on_step: OnStep) -> TrainedModel:
        if self.is_of_ids:
            columns = {**columns, **{one.name: _as_text(columns[one.name]) for one in plan.features}}
            ids = tuple(msgspec.structs.replace(one, kind=FeatureKind.TEXT) for one in plan.features)
            plan = msgspec.structs.replace(plan, features=ids)
        predictors = [(feature.name, feature.kind, columns[feature.name]) for feature in plan.features]
        target = columns[plan.target_field]
        config = parse_config(plan.model_type, plan.config)
        try:
            rows = (
                prepare_regression_set(target, predictors)
                if self.is_regression
                else prepare_training_set(target, predictors, plan.positives)
            )
            state: dict[str, Any] = msgspec.to_builtins(self.learn(rows, config, on_step))
        except TrainingRefused as refused:
            raise refusal_error(refused) from refused
        model = compile_model(plan.model_type, plan.config, state, no_trees)
        mine = {name: column.take(rows.places) for name, _, column in predictors}
        scores = scores_of(model, mine, len(rows.labels))
        return TrainedModel(
            state=state,
            metrics=measured(rows, scores, is_regression=self.is_regression),
            training=told(plan, rows, scores, columns),
            importances=_importances(model, mine, len(rows.labels)),
        )


def measured(rows: TrainingSet, scores: Floats, *, is_regression: bool = False) -> dict[str, Any]:
    """Return how good scores of all rows are on those that validate, with how many there were."""
    labels, start = rows.labels, rows.validation_start
    if is_regression:
        counted = {"rows": len(labels), "validationRows": len(labels) - start}
        return {**regression_metrics(labels[start:], scores[start:]), **counted}
    return {
        **classification_metrics(labels[start:], scores[start:]),
        "rows": len(labels),
        "positives": int(labels.sum()),
        "validationRows": len(labels) - start,
        "validationPositives": int(labels[start:].sum()),
    }


def told(plan: TrainingPlan, rows: TrainingSet, scores: Floats, columns: Mapping[str, Column]) -> dict[str, Any]:
    """Return how a version came about: its rows, its split, its config, and what it has seen as histograms."""
    predictors = [(feature.name, feature.kind, columns[feature.name].take(rows.places)) for feature in plan.features]
    return {
        "config": plan.config,
        **rows_of(plan),
        "split": {
            "method": "time" if plan.time_field or plan.schema_key == INTERACTIONS else "primary_key",
            "field": plan.time_field,
            "validation": VALIDATION_SHARE,
        },
        "reference": reference_of(predictors, scores),
    }


def rows_of(plan: TrainingPlan) -> dict[str, Any]:
    """Return where the rows of a training came from."""
    if plan.schema_key == INTERACTIONS:
        return {"source": "interactions"}
    return {"source": "schema", "schemaKey": plan.schema_key, "targetField": plan.target_field}


def _importances(model: Model, columns: Mapping[str, Column], rows: int) -> dict[str, float]:
    """Return each field's share of how much the fields move the raw score: the deviation of what it adds."""
    table = ColumnsTable(columns, rows)
    moved = {name: _deviation(model, table, name) for name in columns}
    total = sum(moved.values())
    return {name: value / total if total > 0 else 0.0 for name, value in moved.items()}


def _deviation(model: Model, table: ColumnsTable, name: str) -> float:
    """Return the standard deviation of the raw score while only this field is known."""
    alone = ColumnsTable({name: table.column(name)[0]}, table.customers)
    return float(np.std(model.score(alone).raw))


def _as_text(column: Column) -> Column:
    return Column.from_values([text_of(value) for value in column.objects.tolist()])


def no_trees(text: str) -> Trees:
    """Refuse: a model that is fitted here has no trees."""
    message = f"a model that is fitted here has no trees: {text[:40]}"
    raise TypeError(message)


FITS: dict[ModelType, Fit] = {
    ModelType.BAYESIAN: _Fit(fit_bayesian),
    ModelType.LOGISTIC_REGRESSION: _Fit(fit_logistic),
    ModelType.LINEAR_REGRESSION: _Fit(fit_linear, is_regression=True),
    ModelType.NEURAL_CF: _Fit(fit_neural_cf, is_of_ids=True),
}
