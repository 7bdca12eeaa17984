"""The ML worker as a trainer, over HTTP."""

from __future__ import annotations

import asyncio
from uuid import UUID

import httpx
import msgspec

from kaireon_application.errors import KaireonError, Unavailable, Unprocessable
from kaireon_application.learning.refusals import REFUSALS
from kaireon_application.learning.training import ReportProgress, TrainedModel, TrainingPlan
from kaireon_core.learning.configs import GradientBoostedConfig
from kaireon_core.learning.training_set import Refusal

_CONNECT_SECONDS = 3.0
# A training answers when it is done; whoever waits renews a lease meanwhile and can cancel.
_TRAINING_SECONDS = 3600.0
_PROGRESS_SECONDS = 0.5

_OK = 200
_SERVER_ERROR = 500


class _Progress(msgspec.Struct, frozen=True, kw_only=True):
    processed: int
    total: int


class _Failure(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    message: str


class _FailureBody(msgspec.Struct, frozen=True, kw_only=True):
    error: _Failure


class MlWorker:
    """Trains gradient-boosted models; a connection lives as long as one training."""

    def __init__(self, url: str, token: str | None = None) -> None:
        """Take ML_WORKER_URL and, when the ML worker wants one, ML_WORKER_TOKEN."""
        self._url = url
        self._headers = {"x-ml-worker-token": token} if token else {}

    async def train(self, plan: TrainingPlan, report: ReportProgress) -> TrainedModel:
        """Return the trained model; leaving early, by cancellation or by what `report` raises, stops the training.

        Raises an `Unprocessable` with the code of the refusal, `Unavailable` while the ML worker cannot be reached.
        """
        timeout = httpx.Timeout(_TRAINING_SECONDS, connect=_CONNECT_SECONDS)
        async with httpx.AsyncClient(base_url=self._url, headers=self._headers, timeout=timeout) as client:
            work = asyncio.ensure_future(self._train(client, plan))
            try:
                while not (await asyncio.wait({work}, timeout=_PROGRESS_SECONDS))[0]:
                    await self._report(client, plan.training_id, report)
                trained = work.result()
            finally:
                work.cancel()
                await asyncio.wait({work})
        await report(*_all_rounds(plan, trained))
        return trained

    async def _train(self, client: httpx.AsyncClient, plan: TrainingPlan) -> TrainedModel:
        try:
            response = await client.post(
                "/train", content=msgspec.json.encode(plan), headers={"content-type": "application/json"}
            )
        except httpx.TransportError as error:
            raise Unavailable(f"the ML worker cannot be reached: {error or type(error).__name__}") from error
        if response.status_code != _OK:
            raise _failure(response)
        return msgspec.json.decode(response.content, type=TrainedModel)

    async def _report(self, client: httpx.AsyncClient, training_id: UUID, report: ReportProgress) -> None:
        try:
            response = await client.get(f"/trainings/{training_id}", timeout=_CONNECT_SECONDS)
        except httpx.TransportError:
            return
        if response.status_code != _OK:
            # It waits for its turn, or its rows are being read; reporting is also how a cancellation is noticed.
            await report(0, None)
            return
        progress = msgspec.json.decode(response.content, type=_Progress)
        await report(progress.processed, progress.total)


def _all_rounds(plan: TrainingPlan, trained: TrainedModel) -> tuple[int, int]:
    """Return the progress of a training that is over, as the ML worker counts: rounds allowed, then rounds grown."""
    config = msgspec.convert(plan.config, GradientBoostedConfig)
    rounds = config.num_iterations + int(trained.metrics["iterations"])
    return rounds, rounds


def _failure(response: httpx.Response) -> KaireonError:
    """Return what a refusal or failure of the ML worker means here."""
    try:
        failure = msgspec.json.decode(response.content, type=_FailureBody).error
    except msgspec.DecodeError:
        failure = _Failure(code="", message=f"answered {response.status_code}")
    refusal = next((refusal for refusal in Refusal if refusal.value == failure.code), None)
    if refusal is not None:
        return REFUSALS[refusal](failure.message)
    message = f"the ML worker: {failure.message}"
    if response.status_code >= _SERVER_ERROR:
        return Unavailable(message)
    return Unprocessable(message)
