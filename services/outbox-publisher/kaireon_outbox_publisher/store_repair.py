"""The second loop of the tier: interaction stores beside Postgres get what they lack."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import psycopg

from kaireon_application.customers.keep_stores import RepairStores
from kaireon_application.customers.store_marks import StoreMarks
from kaireon_application.errors import Unavailable
from kaireon_runtime import catalogue
from kaireon_runtime.logs import Logger
from kaireon_runtime.metrics import Metrics

_IDLE_SECONDS = 0.5
_FIRST_BACKOFF_SECONDS = 0.2
_LONGEST_BACKOFF_SECONDS = 10.0
_MEASURE_SECONDS = 10.0
_TRANSIENT = (Unavailable, psycopg.OperationalError, OSError)


async def keep_stores(repair: RepairStores, metrics: Metrics, log: Logger) -> None:
    """Repair for ever, whatever fails; a store that is away is asked again after growing pauses."""
    pause_seconds = _FIRST_BACKOFF_SECONDS
    while True:
        try:
            report = await repair()
        except Exception as error:
            is_transient = isinstance(error, _TRANSIENT)
            log.warning("interaction stores lag", isTransient=is_transient, error=str(error), exc_info=not is_transient)
            if not is_transient:
                metrics.add(catalogue.UNEXPECTED_ERRORS, "outbox-publisher")
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _LONGEST_BACKOFF_SECONDS)
            continue
        pause_seconds = _FIRST_BACKOFF_SECONDS
        if not report.has_more:
            await asyncio.sleep(_IDLE_SECONDS)


async def measure_stores(marks: StoreMarks, metrics: Metrics, log: Logger) -> None:
    """Tell for ever how much the stores lack, and for how long."""
    while True:
        try:
            backlog = await marks.backlog()
            age = 0.0 if backlog.due_at is None else (datetime.now(UTC) - backlog.due_at).total_seconds()
            metrics.set(catalogue.INTERACTION_STORE_PENDING, backlog.interactions)
            metrics.set(catalogue.INTERACTION_STORE_LAG, max(0.0, age))
        except _TRANSIENT as error:
            log.debug("the interaction stores' backlog could not be measured", error=str(error))
        await asyncio.sleep(_MEASURE_SECONDS)
