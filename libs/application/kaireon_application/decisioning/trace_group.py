"""What deciding for a group took, in the traces of those who asked; nothing about customers."""

from __future__ import annotations

import time
from collections.abc import Sequence

from msgspec.structs import asdict, replace

from kaireon_application.decisioning.answer import stages_of
from kaireon_application.decisioning.changes import DecisionChange
from kaireon_application.decisioning.decided_customer import DecidedCustomer
from kaireon_runtime.origin import origin


def tell_traces(decided: Sequence[DecidedCustomer], began: float, drafted: float) -> None:
    """Record load, decide and commit, which ends now; instants are of `time.perf_counter`."""
    traces = origin().traces
    if not traces:
        return
    first, ended, group = decided[0], time.perf_counter(), {"kaireon.group_size": len(decided)}
    loaded = began + first.load_ms / 1000
    stages = {f"kaireon.stage.{name}_ms": spent for name, spent in asdict(stages_of(first.decisions)).items() if spent}
    for trace in traces:
        trace.record("decision load", began, loaded, group)
        trace.record("decision decide", loaded, drafted, {**group, **stages})
        trace.record("decision commit", drafted, ended, group)


def of_trace(change: DecisionChange, traceparent: str | None) -> DecisionChange:
    """Return the change with events that say to which trace they belong."""
    if traceparent is None:
        return change
    return replace(change, events=[replace(event, traceparent=traceparent) for event in change.events])
