"""Training a scorecard: its points are somebody's judgement, so they are measured and left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import numpy as np

from kaireon_application.learning.columns_table import scores_of
from kaireon_application.learning.fitting.fits import no_trees, rows_of
from kaireon_application.learning.refusals import refusal_error
from kaireon_application.learning.training import ReportProgress, TrainedModel, TrainingPlan, TrainingRows, with_kinds
from kaireon_core.column import Column
from kaireon_core.learning.compile import compile_model
from kaireon_core.learning.definitions import ModelType
from kaireon_core.learning.measurement import classification_metrics
from kaireon_core.learning.reference import reference_of
from kaireon_core.learning.training_set import TrainingRefused, label_rows


class ScorecardMeasurement:
    """The trainer of scorecards."""

    def __init__(self, rows: TrainingRows) -> None:
        """Measure on these rows."""
        self._rows = rows

    async def train(self, plan: TrainingPlan, report: ReportProgress) -> TrainedModel:
        """Return the scorecard as it is, with its AUC and calibration on all labelled rows."""
        columns = await self._rows.read(plan.tenant_id, plan.schema_key, plan.fields, plan.time_field)
        plan = with_kinds(plan, columns)
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
    model = compile_model(ModelType.SCORECARD, plan.config, None, no_trees)
    labelled = ~np.isnan(labels)
    scores, labels = scores_of(model, columns, len(target))[labelled], labels[labelled]
    predictors = [(one.name, one.kind, columns[one.name].take(np.flatnonzero(labelled))) for one in plan.features]
    return TrainedModel(
        state={"config": plan.config},
        metrics={
            **classification_metrics(labels, scores),
            "rows": len(labels),
            "positives": int(labels.sum()),
        },
        training={
            **rows_of(plan),
            "split": "measured on all rows",
            "reference": reference_of(predictors, scores),
        },
    )
