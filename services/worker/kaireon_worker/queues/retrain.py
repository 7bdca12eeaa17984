"""`retrain-jobs`: train models."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from kaireon_application.errors import MlWorkerNotConfigured
from kaireon_application.learning.fitting.fits import FITS
from kaireon_application.learning.fitting.local_trainer import LocalTrainer
from kaireon_application.learning.interaction_rows import SourcedRows
from kaireon_application.learning.measure_scorecard import ScorecardMeasurement
from kaireon_application.learning.train_model import JOB_TYPE, train_model
from kaireon_application.learning.training import ReportProgress, TrainedModel, Trainer, TrainingPlan
from kaireon_application.learning.training_rows import SchemaTrainingRows
from kaireon_application.platform.job import JobHandler, JobRun
from kaireon_core.learning.definitions import ModelType
from kaireon_runtime.catalogue import TRAINING_DURATION
from kaireon_runtime.metrics import Metrics
from kaireon_storage.ml_worker import MlWorker
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.model_versions import PostgresModelVersions
from kaireon_storage.postgres.schema_tables import PostgresSchemaRows
from kaireon_storage.postgres.training_decisions import PostgresTrainingDecisions
from kaireon_worker.services import Services, open_services
from kaireon_worker.settings import Settings


class _NoMlWorker:
    """Stands where the ML worker would be: the API was told of one and this worker was not."""

    async def train(self, plan: TrainingPlan, report: ReportProgress) -> TrainedModel:  # noqa: ARG002 - a port
        raise MlWorkerNotConfigured


class _Timed:
    """A trainer, and how long each of its trainings takes."""

    def __init__(self, trainer: Trainer, model_type: ModelType, metrics: Metrics) -> None:
        self._trainer = trainer
        self._model_type = model_type
        self._metrics = metrics

    async def train(self, plan: TrainingPlan, report: ReportProgress) -> TrainedModel:
        started = time.monotonic()
        trained = await self._trainer.train(plan, report)
        self._metrics.observe(TRAINING_DURATION, time.monotonic() - started, self._model_type.value)
        return trained


def retrain_handlers(settings: Settings, metrics: Metrics) -> Mapping[str, JobHandler]:
    """Return the handlers of this queue's job types."""

    async def train(run: JobRun) -> dict[str, Any]:
        async with open_services(settings) as services:
            entities = PostgresEntities(services.database)
            versions = PostgresModelVersions(services.database)
            trainers = {
                model_type: _Timed(trainer, model_type, metrics) for model_type, trainer in _trainers(services).items()
            }
            return await train_model(run, entities, versions, trainers)

    return {JOB_TYPE: train}


def _trainers(services: Services) -> dict[ModelType, Trainer]:
    settings = services.settings
    token = settings.ml_worker_token.get_secret_value() if settings.ml_worker_token is not None else None
    entities = PostgresEntities(services.database)
    schema_rows = SchemaTrainingRows(entities, PostgresSchemaRows(services.database))
    rows = SourcedRows(schema_rows, PostgresTrainingDecisions(services.database), entities)
    return {
        ModelType.SCORECARD: ScorecardMeasurement(rows),
        **{model_type: LocalTrainer(rows, fit) for model_type, fit in FITS.items()},
        ModelType.GRADIENT_BOOSTED: (
            MlWorker(settings.ml_worker_url, token) if settings.ml_worker_url is not None else _NoMlWorker()
        ),
    }
