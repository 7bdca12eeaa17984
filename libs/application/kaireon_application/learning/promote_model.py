"""Move a model through its deployment lifecycle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entities, Entity, EntityReader, EntityWriter, ListQuery
from kaireon_application.catalog.fields import Label
from kaireon_application.catalog.read_entity import require
from kaireon_application.errors import Conflict, InvalidInput, InvalidTransition, RollbackGuard
from kaireon_application.governance.actor import Actor
from kaireon_application.governance.audit_log import AuditAction
from kaireon_application.learning.algorithm_model import KIND, Promotion
from kaireon_application.learning.evidence import EvidenceSources, PromotionEvidence, gather_evidence
from kaireon_core.learning.definitions import RollbackThresholds
from kaireon_core.learning.lifecycle import (
    TRANSITIONS,
    GuardedMetrics,
    GuardResult,
    RegistryStatus,
    check_rollback_guard,
)
from kaireon_core.problems import InvalidValue, Problem, convert
from kaireon_runtime.logs import logger

_PROMOTIONS_KEPT = 100
_MANY = 100


class PromotionRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Where a model shall go. `family` defaults to the one it has, which is its name when none was given."""

    to_status: RegistryStatus
    family: Label | None = None
    metrics_snapshot: dict[str, Any] | None = None
    bypass_rollback_guard: bool = False


class PromotionAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a promotion did. The guard's tests are named when it looked: those that were skipped or bypassed."""

    model_id: UUID
    previous_status: RegistryStatus
    new_status: RegistryStatus
    demoted_champion_id: UUID | None
    family: str
    rollback_guard_skipped: list[str]
    rollback_guard_breaches: list[str]
    evidence: PromotionEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteModel:
    """The use case."""

    entities: Entities
    evidence: EvidenceSources

    async def __call__(
        self, tenant_id: UUID, reference: str, request: PromotionRequest, at: datetime, actor: Actor
    ) -> PromotionAnswer:
        """Change a model's registry status, and say what is known of it; a new champion archives the old one.

        Raises as `promoted`, and `InvalidInput` for metrics that the rollback guard could not compare.
        """
        _require_metrics(request.metrics_snapshot or {})
        # Looked up before anything is changed: what is done is not taken back because a look at it failed.
        evidence = await known_evidence(self.evidence, self.entities, tenant_id, reference, request.family)
        async with self.entities.writing(tenant_id, actor) as writer:
            return await promoted(writer, reference, request, at, actor, evidence)


def _require_metrics(snapshot: Mapping[str, Any]) -> None:
    try:
        convert(snapshot, GuardedMetrics, "$.metricsSnapshot")
    except InvalidValue as error:
        raise InvalidInput.of(error.problems) from None


async def known_evidence(
    sources: EvidenceSources, entities: Entities, tenant_id: UUID, reference: str, family: str | None = None
) -> PromotionEvidence:
    """Return what is known of a model that may be promoted, beside the champion of this family, else of its own.

    Raises `NotFound`, and `Unavailable` while the storage is away.
    """
    async with entities.reading(tenant_id) as reader:
        model = await require(reader, KIND, reference)
        champions = await _champions(reader, family or str(model.body["family"]))
    champion = next((one for one in champions if one.id != model.id), None)
    return await gather_evidence(sources, tenant_id, model, champion)


async def promoted(
    writer: EntityWriter,
    reference: str,
    request: PromotionRequest,
    at: datetime,
    actor: Actor,
    evidence: PromotionEvidence,
) -> PromotionAnswer:
    """Promote inside an open transaction; the guard knows of drift from the evidence, unless the snapshot has a `psi`.

    Raises `NotFound`, `InvalidTransition`, `RollbackGuard`, and `Conflict` for a champion that is itself a draft.
    """
    model = await require(writer, KIND, reference)
    previous = RegistryStatus(model.body["registryStatus"])
    _require_transition(previous, request.to_status)
    if request.to_status is RegistryStatus.CHAMPION and model.status == "draft":
        raise Conflict("a model whose status is draft scores nothing: set it to active before it becomes champion")
    family = request.family or str(model.body["family"])
    champions = await _champions(writer, family) if request.to_status is RegistryStatus.CHAMPION else []
    guard = _guard(model, champions, request, evidence.psi)
    for champion in champions:
        await _archive(writer, champion, at, actor)
    step = Promotion(
        at=at,
        previous_status=previous,
        new_status=request.to_status,
        by_key_id=actor.user_id,
        metrics_snapshot=request.metrics_snapshot,
        bypassed_breaches=list(guard.breaches),
    )
    moved = await writer.update(_moved(model, step, family), AuditAction.PROMOTE)
    if guard.breaches:
        await writer.note(AuditAction.ROLLBACK_GUARD_BYPASS, moved, {"breaches": list(guard.breaches)})
    return PromotionAnswer(
        model_id=model.id,
        previous_status=previous,
        new_status=request.to_status,
        demoted_champion_id=champions[0].id if champions else None,
        family=family,
        rollback_guard_skipped=list(guard.skipped),
        rollback_guard_breaches=list(guard.breaches),
        evidence=evidence,
    )


async def _archive(writer: EntityWriter, champion: Entity, at: datetime, actor: Actor) -> None:
    """Make room for another champion."""
    step = Promotion(
        at=at,
        previous_status=RegistryStatus.CHAMPION,
        new_status=RegistryStatus.ARCHIVED,
        by_key_id=actor.user_id,
    )
    await writer.update(_moved(champion, step), AuditAction.PROMOTE)


def _require_transition(previous: RegistryStatus, wanted: RegistryStatus) -> None:
    allowed = TRANSITIONS[previous]
    if wanted not in allowed:
        ways = ", ".join(status.value for status in RegistryStatus if status in allowed)
        message = f"a {previous} model cannot become {wanted}; from {previous} it may become {ways}"
        raise InvalidTransition(message, (Problem(path="$.toStatus", message=message),))


async def _champions(reader: EntityReader, family: str) -> list[Entity]:
    """Return the family's champions: one at most, unless older data broke the rule."""
    matching = {"family": family, "registryStatus": RegistryStatus.CHAMPION.value}
    return list((await reader.page(KIND, ListQuery(limit=_MANY, matching=matching))).entities)


def _guard(model: Entity, champions: list[Entity], request: PromotionRequest, known_psi: float | None) -> GuardResult:
    """Return what the rollback guard says of a new champion. Raises `RollbackGuard` unless it is bypassed."""
    if request.to_status is not RegistryStatus.CHAMPION:
        return GuardResult((), ())
    baseline = _baseline(champions[0]) if champions else dict[str, Any]()
    known = {} if known_psi is None else {"psi": known_psi}
    result = check_rollback_guard({**known, **(request.metrics_snapshot or {})}, baseline, _thresholds(model))
    if result.breaches and not request.bypass_rollback_guard:
        problems = tuple(Problem(path="$.metricsSnapshot", message=breach) for breach in result.breaches)
        skipped = f"; not tested for lack of input: {', '.join(result.skipped)}" if result.skipped else ""
        raise RollbackGuard(f"the rollback guard tripped: {'; '.join(result.breaches)}{skipped}", problems)
    if result.breaches:
        logger("kaireon.learning").warning(
            "rollback guard bypassed", modelId=str(model.id), breaches=list(result.breaches)
        )
    return result


def _baseline(champion: Entity) -> Mapping[str, Any]:
    """Return the champion's metrics: those of its promotion, else those of its training."""
    snapshot = cast("Mapping[str, Any]", champion.body.get("metricsSnapshot") or {})
    return {**champion.body.get("metrics", {}), **snapshot}


def _thresholds(model: Entity) -> RollbackThresholds:
    config = cast("Mapping[str, Any]", model.body.get("config") or {})
    stored: Any = model.body.get("rollbackThresholds") or config.get("rollbackThresholds")
    return msgspec.convert(stored, RollbackThresholds) if stored else RollbackThresholds()


def _moved(model: Entity, step: Promotion, family: str | None = None) -> Entity:
    """Return the model after one step of its lifecycle."""
    promotions: list[Any] = [*model.body.get("promotions", []), msgspec.to_builtins(step)]
    body = {
        **model.body,
        "registryStatus": step.new_status.value,
        "family": family or model.body["family"],
        "promotions": promotions[-_PROMOTIONS_KEPT:],
    }
    if step.metrics_snapshot is not None:
        body["metricsSnapshot"] = step.metrics_snapshot
    return msgspec.structs.replace(model, body=body)
