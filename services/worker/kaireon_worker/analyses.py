"""The handler of analyses: on the batch queue, because whoever asks waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaireon_application.learning.analysis import LOCAL_ROWS, Engine
from kaireon_application.learning.run_analysis import JOB_TYPE, RunAnalysis
from kaireon_application.platform.job import JobHandler, JobRun
from kaireon_runtime.metrics import Metrics
from kaireon_storage.learning.analyst import build_analyst, has_learners
from kaireon_storage.ml_analyst import MlAnalyst
from kaireon_worker.language_model import LanguageModel
from kaireon_worker.services import open_services
from kaireon_worker.settings import Settings


def analysis_handlers(settings: Settings, metrics: Metrics) -> Mapping[str, JobHandler]:
    """Return the handler of analyses."""

    async def analyze(run: JobRun) -> dict[str, Any]:
        async with open_services(settings) as services:
            local = build_analyst(services.database, Engine.LOCAL, LOCAL_ROWS)
            run_analysis = RunAnalysis(
                counter=local,
                local=local,
                has_learners=has_learners(),
                ml_worker=_ml_worker(settings),
                summarizer=_language_model(settings),
                metrics=metrics,
            )
            return await run_analysis(run)

    return {JOB_TYPE: analyze}


def _ml_worker(settings: Settings) -> MlAnalyst | None:
    token = settings.ml_worker_token.get_secret_value() if settings.ml_worker_token is not None else None
    return None if settings.ml_worker_url is None else MlAnalyst(settings.ml_worker_url, token)


def _language_model(settings: Settings) -> LanguageModel | None:
    if settings.ai_base_url is None or settings.ai_model is None:
        return None
    key = settings.ai_api_key.get_secret_value() if settings.ai_api_key is not None else None
    return LanguageModel(settings.ai_base_url, settings.ai_model, key)
