"""Evaluate a policy from what another one did, and keep what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec

from kaireon_application.catalog.entities import Entities, Entity
from kaireon_application.catalog.read_entity import get_entity
from kaireon_application.errors import (
    Busy,
    Conflict,
    EvaluationTooLarge,
    InsufficientOverlap,
    InsufficientRewards,
    InvalidInput,
    NotFound,
    Unprocessable,
)
from kaireon_application.learning.algorithm_model import KIND
from kaireon_application.learning.decision_log import DecisionLogs, find_log, read_log
from kaireon_application.learning.evaluated_traces import TracesAsLog
from kaireon_application.learning.evaluation_request import (
    EvaluationRequest,
    FlowEvaluationRequest,
    ModelEvaluationRequest,
    TraceRange,
    require_one_source,
    require_range,
)
from kaireon_application.learning.model_target import model_target
from kaireon_application.learning.off_policy_evaluation import (
    EvaluationResult,
    OffPolicyEvaluations,
    StoredEvaluation,
    result_of,
)
from kaireon_application.learning.policy_target import ModelPolicy, Policy, TablePolicy, table_problems, target_of_table
from kaireon_application.learning.score_rows import LoadedModel, ModelScoring
from kaireon_core.learning.external_endpoint import ExternalEndpoint
from kaireon_core.learning.off_policy.evaluate import evaluate
from kaireon_core.learning.off_policy.log import DecisionLog
from kaireon_core.learning.off_policy.refusal import EvaluationRefused, Refusal
from kaireon_core.learning.off_policy.target import Target

_MOST_SECONDS = 120.0
_MOST_WAITING_SECONDS = 60.0

_REFUSALS: dict[Refusal, type[Unprocessable]] = {
    Refusal.INSUFFICIENT_OVERLAP: InsufficientOverlap,
    Refusal.INSUFFICIENT_REWARDS: InsufficientRewards,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is evaluated, as it is kept: a table has neither id."""

    target: dict[str, Any]
    model_id: UUID | None = None
    flow_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatePolicy:
    """The use case; one per process. `heavy_work` lets one computation run at a time, in a thread."""

    logs: DecisionLogs
    evaluations: OffPolicyEvaluations
    entities: Entities
    scoring: ModelScoring
    traces: TracesAsLog
    heavy_work: asyncio.Semaphore

    async def of_target(self, tenant_id: UUID, request: EvaluationRequest) -> StoredEvaluation:
        """Evaluate a table or a model.

        Raises `InvalidInput`, `NotFound` for a log, flow or model, `Conflict` for a model that cannot score yet,
        `InsufficientOverlap`, `InsufficientRewards`, `EvaluationTooLarge`.
        """
        require_one_source(request.log_id, request.traces)
        if isinstance(request.target, ModelPolicy):
            form = ModelEvaluationRequest(
                log_id=request.log_id,
                traces=request.traces,
                policy=request.target.policy,
                confidence=request.confidence,
                clip=request.clip,
            )
            return await self.of_model(tenant_id, request.target.model_key, form, "$.target.modelKey")
        return await self._of_table(tenant_id, request, request.target)

    async def of_model(
        self, tenant_id: UUID, reference: str, request: ModelEvaluationRequest, path: str | None = None
    ) -> StoredEvaluation:
        """Evaluate what a model would choose; `path` is where the request names it. Raises as `of_target`."""
        model = await self._model(tenant_id, reference, path)
        require_one_source(request.log_id, request.traces)
        policy = None if request.policy is None else msgspec.to_builtins(request.policy)
        subject = Subject(target={"type": "model", "modelKey": model.key, "policy": policy}, model_id=model.id)
        if request.traces is not None:
            require_range(request.traces)
            loaded = await self._loaded(tenant_id, model.key)
            async with held(self.heavy_work):
                log, target = await self.traces.of_model(tenant_id, request.traces, loaded, request.policy)
        else:
            log = await self._log(tenant_id, request.log_id)
            target = await self._model_target(tenant_id, model.key, log, request.policy)
        source = _source(request.log_id, request.traces)
        return await self._evaluated(tenant_id, source, subject, (log, target), (request.confidence, request.clip))

    async def of_flow(self, tenant_id: UUID, reference: str, request: FlowEvaluationRequest) -> StoredEvaluation:
        """Evaluate what a flow would choose. Raises as `of_target`."""
        flow = await get_entity(self.entities, tenant_id, "decision_flow", reference)
        traces = TraceRange(
            flow_key=request.traces.flow_key or flow.key, from_at=request.traces.from_at, to_at=request.traces.to_at
        )
        require_range(traces)
        async with held(self.heavy_work):
            log, target = await self.traces.of_flow(tenant_id, traces, flow.key, request.version)
        subject = Subject(target={"type": "flow", "flowKey": flow.key, "version": request.version}, flow_id=flow.id)
        source = _source(None, traces)
        return await self._evaluated(tenant_id, source, subject, (log, target), (request.confidence, request.clip))

    async def _of_table(self, tenant_id: UUID, request: EvaluationRequest, table: TablePolicy) -> StoredEvaluation:
        if problems := table_problems(table):
            raise InvalidInput.of(problems)
        if request.traces is not None:
            require_range(request.traces)
            async with held(self.heavy_work):
                log = await self.traces.of_decisions(tenant_id, request.traces)
        else:
            log = await self._log(tenant_id, request.log_id)
        names = {name for row in table.probabilities.values() if isinstance(row, dict) for name in row}
        names |= {name for name, value in table.probabilities.items() if not isinstance(value, dict)}
        aliases = await self._aliases(tenant_id, sorted(names - set(log.action_names)), log)
        target = target_of_table(table, log, aliases)
        subject = Subject(target=msgspec.to_builtins(table))
        source = _source(request.log_id, request.traces)
        return await self._evaluated(tenant_id, source, subject, (log, target), (request.confidence, request.clip))

    async def _model(self, tenant_id: UUID, reference: str, path: str | None) -> Entity:
        try:
            return await get_entity(self.entities, tenant_id, KIND, reference)
        except NotFound:
            if path is None:
                raise
            raise NotFound.reference(path, "there is no such model") from None

    async def _loaded(self, tenant_id: UUID, model_key: str) -> LoadedModel:
        """Return the model. Raises `Conflict` for one that cannot score, or whose scores only a service knows."""
        loaded = await self.scoring.load(tenant_id, model_key)
        if isinstance(loaded.model, ExternalEndpoint):
            raise Conflict(f"model {model_key!r} is a service, which is not asked again for decisions of the past")
        return loaded

    async def _log(self, tenant_id: UUID, log_id: UUID | None) -> DecisionLog:
        try:
            summary = await find_log(self.logs, tenant_id, log_id)
        except NotFound:
            raise NotFound.reference("$.logId", "there is no such decision log") from None
        parts = await self.logs.parts(tenant_id, summary.id)
        async with held(self.heavy_work):
            return await asyncio.to_thread(read_log, parts)

    async def _model_target(self, tenant_id: UUID, model_key: str, log: DecisionLog, policy: Policy | None) -> Target:
        loaded = await self._loaded(tenant_id, model_key)
        offers = await self._offers(tenant_id, log.action_names)
        return model_target(
            loaded.scorer, log, [offers.get(name) for name in log.action_names], policy, deadline(_MOST_SECONDS)
        )

    async def _offers(self, tenant_id: UUID, names: Sequence[str]) -> Mapping[str, Entity]:
        async with self.entities.reading(tenant_id) as reader:
            return await reader.find("offer", list(names))

    async def _aliases(self, tenant_id: UUID, names: Sequence[str], log: DecisionLog) -> dict[str, str]:
        """Return the log's names of offers that a table calls by their other name, key or id."""
        known = set(log.action_names)
        found: Mapping[str, Entity] = await self._offers(tenant_id, names) if names else {}
        spelled = {name: (offer.key, str(offer.id)) for name, offer in found.items()}
        return {name: one for name, spellings in spelled.items() for one in spellings if one in known}

    async def _evaluated(
        self,
        tenant_id: UUID,
        source: dict[str, Any],
        subject: Subject,
        pair: tuple[DecisionLog, Target],
        measure: tuple[float, float | None],
    ) -> StoredEvaluation:
        (log, target), (confidence, clip) = pair, measure
        async with held(self.heavy_work):
            result = await asyncio.to_thread(evaluated, log, target, confidence, clip)
        evaluation = StoredEvaluation(
            id=uuid4(),
            model_id=subject.model_id,
            flow_id=subject.flow_id,
            source=source,
            target=subject.target,
            result=result,
            created_at=datetime.now(UTC),
        )
        await self.evaluations.add(tenant_id, evaluation)
        return evaluation


def evaluated(log: DecisionLog, target: Target, confidence: float, clip: float | None) -> EvaluationResult:
    """Return what a target would have earned. Raises `InsufficientOverlap`, `InsufficientRewards`."""
    try:
        return result_of(evaluate(log, target, confidence, clip), clip)
    except EvaluationRefused as refused:
        raise _REFUSALS[refused.refusal](refused.message) from None


@asynccontextmanager
async def held(heavy_work: asyncio.Semaphore) -> AsyncGenerator[None]:
    """Hold what lets one long computation run at a time. Raises `Busy` when others hold it for too long."""
    try:
        async with asyncio.timeout(_MOST_WAITING_SECONDS):
            await heavy_work.acquire()
    except TimeoutError:
        raise Busy("Other uploads and evaluations are being worked on; try again") from None
    try:
        yield
    finally:
        heavy_work.release()


def deadline(seconds: float) -> Callable[[], None]:
    """Return what raises `EvaluationTooLarge` once this much time is over."""
    until = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > until:
            raise EvaluationTooLarge

    return check


def _source(log_id: UUID | None, traces: TraceRange | None) -> dict[str, Any]:
    return {"logId": str(log_id)} if traces is None else {"traces": msgspec.to_builtins(traces)}
