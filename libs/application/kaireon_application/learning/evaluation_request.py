"""What an evaluation of a policy is asked about, as it is written down."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from kaireon_application.errors import InvalidInput
from kaireon_application.learning.policy_target import Policy, Reference, TargetPolicy

Confidence: TypeAlias = Annotated[float, Meta(ge=0.5, le=0.9999)]
Clip: TypeAlias = Annotated[float, Meta(gt=0, le=1e12)]
Instant: TypeAlias = Annotated[datetime, Meta(tz=True)]


class TraceRange(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Stored decisions of a flow: those from an instant on, before another."""

    flow_key: Reference
    from_at: Instant = msgspec.field(name="from")
    to_at: Instant = msgspec.field(name="to")


class FlowTraceRange(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Stored decisions of a flow, the evaluated one's own where none is named."""

    from_at: Instant = msgspec.field(name="from")
    to_at: Instant = msgspec.field(name="to")
    flow_key: Reference | None = None


class EvaluationRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """From which log or stored decisions, and what policy; weights are clipped only when `clip` is given."""

    target: TargetPolicy
    log_id: UUID | None = None
    traces: TraceRange | None = None
    confidence: Confidence = 0.95
    clip: Clip | None = None


class ModelEvaluationRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The same for a model; without a policy a bandit has its own, and any other model chooses its best."""

    log_id: UUID | None = None
    traces: TraceRange | None = None
    policy: Policy | None = None
    confidence: Confidence = 0.95
    clip: Clip | None = None


class FlowEvaluationRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The same for what a flow would choose, by deciding stored decisions again; `version`: the live one by default."""

    traces: FlowTraceRange
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    confidence: Confidence = 0.95
    clip: Clip | None = None


def require_one_source(log_id: UUID | None, traces: TraceRange | None) -> None:
    """Raise `InvalidInput` unless there is exactly one."""
    if (log_id is None) == (traces is None):
        raise InvalidInput.at("$", "send either logId or traces")


def require_range(traces: TraceRange) -> None:
    """Raise `InvalidInput` for a range that ends before it begins."""
    if traces.from_at >= traces.to_at:
        raise InvalidInput.at("$.traces.to", "must be after from")
