"""Trainings in the process that runs the job: read the rows, fit beside the event loop, stop when told to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import TypeAlias

from kaireon_application.learning.fitting.fit_linear import OnStep
from kaireon_application.learning.training import ReportProgress, TrainedModel, TrainingPlan, TrainingRows, with_kinds
from kaireon_core.column import Column

Fit: TypeAlias = Callable[[TrainingPlan, Mapping[str, Column], OnStep], TrainedModel]
_REPORT_SECONDS = 0.5


class LocalTrainer:
    """Trains models of a type that needs no other service."""

    def __init__(self, rows: TrainingRows, fit: Fit) -> None:
        """Learn from these rows in this way."""
        self._rows = rows
        self._fit = fit

    async def train(self, plan: TrainingPlan, report: ReportProgress) -> TrainedModel:
        """Return the trained model; when `report` raises, the fitting stops after its current step.

        Raises an `Unprocessable` with the code of the refusal.
        """
        columns = await self._rows.read(plan.tenant_id, plan.schema_key, plan.fields, plan.time_field)
        plan = with_kinds(plan, columns)
        steps = _Steps()
        work = asyncio.ensure_future(asyncio.to_thread(self._fit, plan, columns, steps.done))
        try:
            await report(0, None)
            while not (await asyncio.wait({work}, timeout=_REPORT_SECONDS))[0]:
                await report(*steps.progress)
            trained = work.result()
        finally:
            steps.stop()
            await asyncio.wait({work})
        # A fit may end before the steps that it was allowed.
        count, _ = steps.progress
        await report(count, count)
        return trained


class _Stopped(Exception):
    """Whoever asked for the training wants it no more."""


class _Steps:
    """How far a fit in another thread is, and whether it shall go on."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self.progress: tuple[int, int | None] = (0, None)

    def done(self, count: int, total: int) -> None:
        self.progress = (count, total)
        if self._stop.is_set():
            raise _Stopped

    def stop(self) -> None:
        self._stop.set()
