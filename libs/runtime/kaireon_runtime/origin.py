"""On whose behalf something is done: told by every log line, carried to whoever goes on with it. Never a customer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import Any, Protocol, TypeAlias
from uuid import UUID

import msgspec

# What is told of a span.
Attributes: TypeAlias = Mapping[str, str | int | float | bool]


class Trace(Protocol):
    """A span that goes on, and that is sampled."""

    @property
    def traceparent(self) -> str:
        """Its name in W3C Trace Context."""
        ...

    def record(self, name: str, began: float, ended: float, attributes: Attributes) -> None:
        """Tell of a part that is over; instants are of `time.perf_counter`."""
        ...

    def tell(self, attributes: Attributes, *, name: str | None = None, is_failed: bool = False) -> None:
        """Say more about it, once more is known."""
        ...


class Origin(msgspec.Struct, frozen=True):
    """The requests, their tenant, and the job that something is done for."""

    request_ids: tuple[str, ...] = ()
    tenant_id: UUID | None = None
    job_id: UUID | None = None
    # Spans of those among them that are traced.
    traces: tuple[Trace, ...] = ()

    @property
    def traceparent(self) -> str | None:
        """The trace that what comes of this belongs to: that of the first who is traced."""
        return self.traces[0].traceparent if self.traces else None

    def names(self) -> dict[str, Any]:
        """Return what a log line tells of it."""
        told: dict[str, Any] = {}
        if len(self.request_ids) == 1:
            told["requestId"] = self.request_ids[0]
        elif self.request_ids:
            told["requestIds"] = list(self.request_ids)
        if self.tenant_id is not None:
            told["tenantId"] = str(self.tenant_id)
        if self.job_id is not None:
            told["jobId"] = str(self.job_id)
        return told


_NOBODY = Origin()
_ORIGIN: ContextVar[Origin] = ContextVar("origin", default=_NOBODY)


def origin() -> Origin:
    """Return on whose behalf this task works."""
    return _ORIGIN.get()


def work_for(whom: Origin) -> None:
    """Work on their behalf from now on: this task, and those that it starts."""
    _ORIGIN.set(whom)


def all_of(origins: Iterable[Origin]) -> Origin:
    """Return the origin of what is done at once for several of one tenant."""
    each = tuple(origins)
    if len(each) == 1:
        return each[0]
    request_ids = tuple(name for one in each for name in one.request_ids)
    traces = tuple(trace for one in each for trace in one.traces)
    return Origin(request_ids=request_ids, tenant_id=each[0].tenant_id, job_id=each[0].job_id, traces=traces)
