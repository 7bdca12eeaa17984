"""Keeping what is in a queue and is no message about a job."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kaireon_application.errors import Unavailable
from kaireon_runtime import catalogue
from kaireon_runtime.logs import logger
from kaireon_worker.watcher import UNKNOWN_TYPE

if TYPE_CHECKING:
    from kaireon_runtime.metrics import Metrics
    from kaireon_storage.postgres.jobs import PoisonMessage, PostgresDueJobs

_RETRY_SECONDS = 1.0


async def bury_message(due: PostgresDueJobs, message: PoisonMessage, metrics: Metrics) -> None:
    """Write a message to the dead-letter list, however long Postgres is away."""
    while True:
        try:
            await due.bury_message(message)
        except Unavailable:
            await asyncio.sleep(_RETRY_SECONDS)
            continue
        logger("kaireon.worker").warning(
            "a message that is no job was dead-lettered", queue=message.queue, reason=message.reason
        )
        metrics.add(catalogue.JOBS_FINISHED, message.queue, UNKNOWN_TYPE, "dead")
        return
