"""Every type of job that this worker does, in one explicit table."""

from __future__ import annotations

from collections.abc import Mapping

from kaireon_application.platform.job import JobHandler
from kaireon_runtime.metrics import Metrics
from kaireon_worker.analyses import analysis_handlers
from kaireon_worker.queues.batch import batch_handlers
from kaireon_worker.queues.drift import drift_handlers
from kaireon_worker.queues.dsar import dsar_handlers
from kaireon_worker.queues.journeys import journey_handlers
from kaireon_worker.queues.retrain import retrain_handlers
from kaireon_worker.queues.seed import seed_handlers
from kaireon_worker.queues.triggers import trigger_handlers
from kaireon_worker.settings import Settings


def build_handlers(settings: Settings, metrics: Metrics) -> Mapping[str, JobHandler]:
    """Return the handler of each job type; what a handler opens, it opens per job."""
    return {
        **batch_handlers(settings, metrics),
        **journey_handlers(settings, metrics),
        **trigger_handlers(settings, metrics),
        **analysis_handlers(settings, metrics),
        **seed_handlers(settings),
        **retrain_handlers(settings, metrics),
        **drift_handlers(settings),
        **dsar_handlers(settings),
    }
