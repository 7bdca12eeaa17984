"""The answer to a request, made of what was decided."""

from __future__ import annotations

import time

import msgspec

from kaireon_application.decisioning.decided_customer import DecidedCustomer
from kaireon_application.decisioning.snapshot import LiveFlow, TenantSnapshot
from kaireon_application.decisioning.wire import (
    DecisionMeta,
    ExperimentAssignment,
    FunnelStage,
    Recommendation,
    RecommendRequest,
    StagesMs,
)
from kaireon_core.decisioning.decide import Decisions

_encode = msgspec.json.Encoder().encode
_NARROWING = ("inventory", "filter", "match_creatives", "qualify", "conditional", "pre_score")


def build_answer(
    snapshot: TenantSnapshot,
    live: LiveFlow,
    request: RecommendRequest,
    decided: DecidedCustomer,
    validation_ms: float = 0.0,
) -> Recommendation:
    """Return the answer of /recommend; with `debug` with the time of each stage, that of checking the request too."""
    started = time.perf_counter()
    items = decided.items(live)
    answer = Recommendation(
        recommendation_id=decided.recommendation_id,
        customer_id=decided.customer_id,
        count=len(items),
        decisions=items,
        experiment_assignment=assignment_of(decided.variant.experiment_key, decided.variant.name),
        meta=live.meta,
        control_group=True if decided.variant.is_control else msgspec.UNSET,
        degraded_scoring=True if decided.is_degraded else msgspec.UNSET,
        channel_coupling=decided.coupling(live) or msgspec.UNSET,
    )
    if not request.debug:
        return answer
    _encode(answer)
    stages = _stages_ms(decided, validation_ms, (time.perf_counter() - started) * 1000)
    return msgspec.structs.replace(answer, meta=_debug_meta(snapshot, live, decided, stages))


def assignment_of(experiment_key: str | None, variant: str | None) -> ExperimentAssignment | None:
    """Return the assignment as it is answered; null without an experiment."""
    if experiment_key is None or variant is None:
        return None
    return ExperimentAssignment(experiment_key=experiment_key, variant=variant)


def _debug_meta(snapshot: TenantSnapshot, live: LiveFlow, decided: DecidedCustomer, stages: StagesMs) -> DecisionMeta:
    counts = decided.decisions.funnel(live.compiled, decided.index)
    return msgspec.structs.replace(
        live.meta,
        funnel=[FunnelStage(stage=count.stage, in_=count.in_, out=count.out) for count in counts],
        stages_ms=stages,
        snapshot_version=snapshot.version,
        flow_version=live.published.version,
        guardrail_warnings=decided.warnings,
    )


def _stages_ms(decided: DecidedCustomer, validation_ms: float, serialisation_ms: float) -> StagesMs:
    return msgspec.structs.replace(
        stages_of(decided.decisions),
        validation=validation_ms,
        load=decided.load_ms,
        enrichment=decided.enrichment_ms,
        serialisation=serialisation_ms,
    )


def stages_of(decisions: Decisions) -> StagesMs:
    """Return the time that each stage of deciding took, for all who were decided for together."""
    spent = decisions.stages_ms
    return StagesMs(
        qualification=sum(spent.get(stage, 0.0) for stage in _NARROWING),
        contact_policy=sum(spent.get(stage, 0.0) for stage in ("contact_policy", "mandatory", "constraints")),
        scoring=spent.get("score", 0.0) + spent.get("score_override", 0.0),
        ranking=spent.get("guardrails", 0.0) + spent.get("rank", 0.0),
        optimisation=spent.get("optimize", 0.0),
    )
