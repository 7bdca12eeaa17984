"""Trainings: read the rows, grow the trees beside the event loop, stop when nobody waits any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

import msgspec

from kaireon_application.errors import InvalidInput
from kaireon_application.learning.fitting.fits import measured, told
from kaireon_application.learning.refusals import refusal_error
from kaireon_application.learning.training import TrainedModel, TrainingPlan, TrainingRows, with_kinds
from kaireon_core.column import Column
from kaireon_core.learning.configs import GradientBoostedConfig, parse_config
from kaireon_core.learning.definitions import ModelType
from kaireon_core.learning.training_set import TrainingRefused, prepare_training_set
from kaireon_ml_worker.gradient_boosting import OnRound, grow_trees

_POLL_SECONDS = 0.2


class TrainingAbandoned(Exception):
    """Whoever asked for the training has gone."""


class TrainingProgress(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many rounds of trees have been grown; early stopping may end before the total."""

    processed: int
    total: int


class Trainings:
    """Runs trainings, a bounded number at a time."""

    def __init__(self, rows: TrainingRows, *, threads: int, at_once: int) -> None:
        """Read from `rows` and give each training this many threads."""
        self._rows = rows
        self._threads = threads
        self._slots = asyncio.Semaphore(at_once)
        self._progress: dict[UUID, TrainingProgress] = {}

    def progress(self, training_id: UUID) -> TrainingProgress | None:
        """Return how far a running training is; None when it is not running here."""
        return self._progress.get(training_id)

    async def train(self, plan: TrainingPlan, is_abandoned: Callable[[], Awaitable[bool]]) -> TrainedModel:
        """Return the trained model. Raises an `Unprocessable` for a refusal, `TrainingAbandoned`, `Unavailable`."""
        config = parse_config(plan.model_type, plan.config)
        if plan.model_type is not ModelType.GRADIENT_BOOSTED or not isinstance(config, GradientBoostedConfig):
            raise InvalidInput.at("$.modelType", "only gradient_boosted models are trained here")
        async with self._slots:
            columns = await self._rows.read(plan.tenant_id, plan.schema_key, plan.fields, plan.time_field)
            return await self._grow(with_kinds(plan, columns), config, columns, is_abandoned)

    async def _grow(
        self,
        plan: TrainingPlan,
        config: GradientBoostedConfig,
        columns: Mapping[str, Column],
        is_abandoned: Callable[[], Awaitable[bool]],
    ) -> TrainedModel:
        stop = threading.Event()

        def on_round(rounds: int, most: int) -> None:
            self._progress[plan.training_id] = TrainingProgress(processed=rounds, total=most)
            if stop.is_set():
                raise TrainingAbandoned

        work = asyncio.ensure_future(asyncio.to_thread(_train, plan, config, columns, self._threads, on_round))
        try:
            while not (await asyncio.wait({work}, timeout=_POLL_SECONDS))[0]:
                if await is_abandoned():
                    stop.set()
            return work.result()
        finally:
            stop.set()
            work.cancel()
            self._progress.pop(plan.training_id, None)


def _train(
    plan: TrainingPlan,
    config: GradientBoostedConfig,
    columns: Mapping[str, Column],
    threads: int,
    on_round: OnRound,
) -> TrainedModel:
    predictors = [(feature.name, feature.kind, columns[feature.name]) for feature in plan.features]
    try:
        rows = prepare_training_set(columns[plan.target_field], predictors, plan.positives)
    except TrainingRefused as refused:
        raise refusal_error(refused) from refused
    grown = grow_trees(rows, config, threads, on_round)
    return TrainedModel(
        state=msgspec.to_builtins(grown.state),
        metrics={**measured(rows, grown.scores), "iterations": grown.iterations},
        training={**told(plan, rows, grown.scores, columns), **grown.training},
        importances=grown.importances,
    )
