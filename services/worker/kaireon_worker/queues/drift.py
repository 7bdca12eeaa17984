"""`drift-jobs`: check models for drift."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from kaireon_application.learning.drift_check import JOB_TYPE
from kaireon_application.platform.job import JobHandler, JobRun
from kaireon_storage.drift_checking import build_check_drift
from kaireon_worker.services import open_services
from kaireon_worker.settings import Settings


def drift_handlers(settings: Settings) -> Mapping[str, JobHandler]:
    """Return the handlers of this queue's job types."""

    async def check(run: JobRun) -> dict[str, Any]:
        async with open_services(settings) as services:
            return await build_check_drift(services.database).in_job(run, datetime.now(UTC))

    return {JOB_TYPE: check}
