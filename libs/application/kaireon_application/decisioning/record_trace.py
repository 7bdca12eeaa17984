"""What is kept of how a decision came about."""

from __future__ import annotations

import msgspec
import numpy as np

import kaireon_core
from kaireon_application.decisioning.changes import TraceRow
from kaireon_application.decisioning.decided_customer import DecidedCustomer
from kaireon_application.decisioning.learned_facts import write_learned
from kaireon_application.decisioning.recorded_inputs import write_facts, write_request
from kaireon_application.decisioning.shadow_columns import write_shadows
from kaireon_application.decisioning.snapshot import DecisionSettings, LiveFlow, TenantSnapshot
from kaireon_application.decisioning.tenant_counts import write_counters
from kaireon_application.decisioning.trace import TraceContent
from kaireon_core.column import Floats, Mask, row_of
from kaireon_core.decisioning.decide import Decisions


def trace_of(snapshot: TenantSnapshot, live: LiveFlow, decided: DecidedCustomer) -> TraceRow | None:
    """Return the trace of a decision, None for one that the tenant's sampling leaves out."""
    if not is_traced(snapshot.settings, decided.decision_id):
        return None
    return TraceRow(
        legend_hash=live.legend_hash,
        snapshot_hash=snapshot.hash,
        content=live.traces.encode(content_of(snapshot, live, decided)),
    )


def is_traced(settings: DecisionSettings, decision_id: str) -> bool:
    """Sample by the random part of the decision's id: no second draw, and the same answer for the same decision."""
    draw = int(decision_id[-8:], 16) / 0x1_0000_0000
    return settings.decision_trace_enabled and draw < settings.decision_trace_sample_rate


def content_of(snapshot: TenantSnapshot, live: LiveFlow, decided: DecidedCustomer) -> TraceContent:
    """Return the columns of one customer's decision with what it was made from."""
    decisions, index = decided.decisions, decided.index
    scored = decisions.scored[index]
    return TraceContent(
        engine_version=kaireon_core.__version__,
        snapshot_hash=snapshot.hash,
        reasons=decisions.reasons[index].tobytes(),
        scores=_column(decisions.score, index, scored) if _is_score_own(decisions) else None,
        propensities=_column(decisions.propensity, index, scored),
        fits=_column(decisions.fit, index, scored),
        bare=None if decisions.bare is None else decisions.bare.tobytes(),
        picks=decided.picks,
        selection=decided.probabilities,
        mandatory=None if decisions.mandatory is None else _mandatory(decided, decisions.mandatory),
        placements=_placements(decided),
        coupling=msgspec.to_builtins(decided.coupling(live)),
        is_degraded=decided.is_degraded,
        fallbacks=_fallbacks(decisions, index, scored) if decided.is_degraded else None,
        request=write_request(decided),
        facts={
            **write_facts(decided),
            **write_counters(live.compiled, decisions.counters),
            **write_learned(live.compiled, decisions.learned),
        },
        duration_ms=decided.duration_ms,
        durations_ms=decided.told_stages_ms,
        variant=decided.variant.name,
        experiment_key=decided.variant.experiment_key,
        warnings=decided.warnings,
        shadows=write_shadows(decisions.shadows, index, scored),
    )


def _mandatory(decided: DecidedCustomer, mandatory: Mask) -> list[int]:
    return [candidate for candidate in decided.picks if mandatory[candidate]]


def _placements(decided: DecidedCustomer) -> list[str | None] | None:
    if decided.decisions.placed is None:
        return None
    return [decided.placement_of(rank) for rank in range(1, len(decided.picks) + 1)]


def _fallbacks(decisions: Decisions, customer: int, scored: Mask) -> bytes | None:
    return None if decisions.fallbacks is None else decisions.fallbacks[customer, scored].tobytes()


def _is_score_own(decisions: Decisions) -> bool:
    """Whether the scores are more than propensity times fit."""
    return decisions.propensity is None or decisions.is_score_replaced


def _column(values: Floats | None, customer: int, scored: Mask) -> bytes | None:
    """Return one customer's values for the scored candidates, also where all customers or candidates share them."""
    if values is None:
        return None
    row = row_of(values, customer)
    return (row[scored] if len(row) == len(scored) else np.repeat(row, scored.sum())).tobytes()
