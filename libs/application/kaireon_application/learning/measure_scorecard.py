"""Training a scorecard: its points are somebody's judgement, so they are measured and left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import numpy as np

from kaireon_application.learning.refusals import refusal_error
from kaireon_application.learning.training import ReportProgress, TrainedModel, TrainingPlan, TrainingRows
from kaireon_core.column import Column
from kaireon_core.learning.compile import compile_model
from kaireon_core.learning.definitions import ModelType
from kaireon_core.learning.gradient_boosted import Trees
from kaireon_core.learning.measurement import accuracy, area_under_curve, calibration, log_loss
from kaireon_core.learning.model import Fields
from kaireon_core.learning.training_set import TrainingRefused, label_rows
from kaireon_core.table import Axis


class ScorecardMeasurement:
    """The trainer of scorecards."""

    def __init__(self, rows: TrainingRows) -> None:
        """Measure on these rows."""
        self._rows = rows

    async def train(self, plan: TrainingPlan, report: ReportProgress) -> TrainedModel:
        """Return the scorecard as it is, with its AUC and calibration on all labelled rows."""
        columns = await self._rows.read(plan.tenant_id, plan.schema_key, plan.fields, plan.time_field)
        total = len(columns[plan.target_field])
        await report(0, total)
        measured = await asyncio.to_thread(_measure, plan, columns)
        await report(total, total)
        return measured


def _measure(plan: TrainingPlan, columns: Mapping[str, Column]) -> TrainedModel:
    target = columns[plan.target_field]
    try:
        labels = label_rows(target, plan.positives)
    except TrainingRefused as refused:
        raise refusal_error(refused) from refused
    model = compile_model(ModelType.SCORECARD, plan.config, None, _no_trees)
    scores = np.broadcast_to(model.score(_Columns(columns, len(target))).values, (len(target), 1))[:, 0]
    labelled = ~np.isnan(labels)
    labels, scores = labels[labelled], scores[labelled]
    return TrainedModel(
        state={"config": plan.config},
        metrics={
            "auc": area_under_curve(labels, scores),
            "logLoss": log_loss(labels, scores),
            "accuracy": accuracy(labels, scores),
            "rows": len(labels),
            "positives": int(labels.sum()),
            "calibration": calibration(labels, scores),
        },
        training={"schemaKey": plan.schema_key, "targetField": plan.target_field, "split": "measured on all rows"},
    )


class _Columns(Fields):
    """Columns that have been read already; any other field is null."""

    def __init__(self, columns: Mapping[str, Column], rows: int) -> None:
        self._columns = columns
        self._rows = rows

    @property
    def customers(self) -> int:
        return self._rows

    @property
    def candidates(self) -> int:
        return 1

    def column(self, name: str) -> tuple[Column, Axis]:
        found = self._columns.get(name.removeprefix("customer."))
        return found if found is not None else Column.nulls(self._rows), Axis.CUSTOMER


def _no_trees(text: str) -> Trees:
    message = f"a scorecard has no trees: {text[:40]}"
    raise TypeError(message)
