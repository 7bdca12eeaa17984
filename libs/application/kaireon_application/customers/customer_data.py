"""What is held about a customer: handed out on request with a manifest that anybody can check, or erased."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Protocol
from uuid import UUID

import msgspec
from msgspec import Meta

from kaireon_application.errors import LegalHold, NotFound
from kaireon_application.governance.actor import Actor
from kaireon_application.platform.job import JobRefused, JobRun, JobStatus, Queue, decode_payload
from kaireon_application.platform.jobs import JobPosition, Jobs, NewJob
from kaireon_core.governance.audit_chain import canonical, sha256_of

JOB_TYPES = {"export": "dsar_export", "delete": "dsar_delete"}


class RequestType(StrEnum):
    """What the customer wants."""

    EXPORT = "export"
    DELETE = "delete"


class SubjectType(StrEnum):
    """How the customer is named; by an address: whoever has it in a field `email` of a schema with customers."""

    CUSTOMER_ID = "customer_id"
    EMAIL = "email"


class RequestStatus(StrEnum):
    """Where a request stands."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


STATUS_OF_JOB: dict[JobStatus, RequestStatus] = {
    JobStatus.QUEUED: RequestStatus.QUEUED,
    JobStatus.RUNNING: RequestStatus.PROCESSING,
    JobStatus.COMPLETED: RequestStatus.COMPLETED,
    JobStatus.FAILED: RequestStatus.FAILED,
    JobStatus.CANCELLED: RequestStatus.FAILED,
    JobStatus.DEAD: RequestStatus.FAILED,
}

Subject = Annotated[str, Meta(min_length=1, max_length=255)]


class CustomerDataForm(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A request about one customer."""

    request_type: RequestType
    subject_id: Subject
    subject_type: SubjectType = SubjectType.CUSTOMER_ID


class RequestPayload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The same with who made it, as its job carries it."""

    request_type: RequestType
    subject_id: str
    subject_type: SubjectType
    requested_by: str
    requested_by_name: str
    requested_by_role: str


class CustomerDataRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A request as it is answered."""

    id: UUID
    tenant_id: UUID
    request_type: RequestType
    subject_id: str
    subject_type: SubjectType
    requested_by: str
    status: RequestStatus
    requested_at: datetime
    completed_at: datetime | None


class SectionDigest(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows a section has, and the SHA-256 of each row's canonical JSON followed by a line feed."""

    rows: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an export consists of; `sha256` is that of the canonical JSON of `sections`."""

    sections: dict[str, SectionDigest]
    sha256: str


class CustomerDataRequests(Protocol):
    """Reads requests. Every method raises `Unavailable` while the storage is away."""

    async def page(
        self, tenant_id: UUID, status: RequestStatus | None, after: JobPosition | None, limit: int
    ) -> tuple[list[CustomerDataRequest], int]:
        """Return requests, newest first, and how many there are."""
        ...

    async def get(self, tenant_id: UUID, id: UUID) -> CustomerDataRequest | None:
        """Return a request."""
        ...

    async def digests(self, tenant_id: UUID, id: UUID) -> dict[str, SectionDigest]:
        """Return the sections of an export that are complete."""
        ...

    def lines(self, tenant_id: UUID, id: UUID, section: str) -> AsyncIterator[bytes]:
        """Yield the rows of a section as lines of canonical JSON, many at a time."""
        ...


class CustomerDataStore(Protocol):
    """Reads and erases what is held about customers. Every method raises `Unavailable` while a storage is away."""

    async def holds(self, tenant_id: UUID) -> Sequence[str]:
        """Return the data classes of customers' data that are on legal hold."""
        ...

    async def customers_with_email(self, tenant_id: UUID, email: str) -> Sequence[str]:
        """Return the ids of the customers who have this address."""
        ...

    async def sections(self, tenant_id: UUID) -> Sequence[str]:
        """Return the sections of an export."""
        ...

    async def export_section(self, run: JobRun, ids: Sequence[str], section: str) -> None:
        """Store a section of the export that a job makes; nothing when it is stored already."""
        ...

    async def erase(
        self, tenant_id: UUID, ids: Sequence[str], actor: Actor, request_id: UUID, run: JobRun | None = None
    ) -> dict[str, int]:
        """Erase everything in one transaction with its entry in the audit log, and return the counts.

        In a job only while its lease holds; what a lost attempt had committed is what this one returns.
        """
        ...


async def request_customer_data(
    store: CustomerDataStore, jobs: Jobs, tenant_id: UUID, form: CustomerDataForm, actor: Actor
) -> UUID:
    """Queue a request and return its id. Raises `LegalHold` for an erasure of what must be kept."""
    if form.request_type is RequestType.DELETE:
        await require_no_hold(store, tenant_id)
    payload = RequestPayload(
        request_type=form.request_type,
        subject_id=form.subject_id,
        subject_type=form.subject_type,
        requested_by=actor.user_id,
        requested_by_name=actor.user_name,
        requested_by_role=actor.role,
    )
    new = NewJob(queue=Queue.DSAR, type=JOB_TYPES[form.request_type], payload=msgspec.to_builtins(payload))
    return await jobs.enqueue(tenant_id, new)


async def require_no_hold(store: CustomerDataStore, tenant_id: UUID) -> None:
    """Raise `LegalHold` when any data of customers is on hold."""
    held = await store.holds(tenant_id)
    if held:
        raise LegalHold(f"on legal hold: {', '.join(held)}; nothing about a customer may be erased before that ends")


async def export_customer(run: JobRun, store: CustomerDataStore, requests: CustomerDataRequests) -> dict[str, Any]:
    """Store the export of a job's request section by section, each once, and return its manifest."""
    job, payload = run.job, decode_payload(run, RequestPayload)
    ids = await _customers(store, job.tenant_id, payload)
    names = await store.sections(job.tenant_id)
    for done, name in enumerate(names):
        await run.report(done, len(names))
        await store.export_section(run, ids, name)
    await run.report(len(names), len(names))
    manifest = manifest_of(await requests.digests(job.tenant_id, job.id))
    return {"manifest": msgspec.to_builtins(manifest)}


async def erase_customer(run: JobRun, store: CustomerDataStore) -> dict[str, Any]:
    """Erase what a job's request names and return the counts."""
    job, payload = run.job, decode_payload(run, RequestPayload)
    try:
        await require_no_hold(store, job.tenant_id)
    except LegalHold as error:
        raise JobRefused(error.code, error.message) from None
    ids = await _customers(store, job.tenant_id, payload)
    actor = Actor(
        user_id=payload.requested_by,
        user_name=payload.requested_by_name,
        role=payload.requested_by_role,
        request_id=str(job.id),
    )
    counts = await store.erase(job.tenant_id, ids, actor, job.id, run)
    return {"deletedCounts": counts, "totalDeleted": sum(counts.values())}


async def _customers(store: CustomerDataStore, tenant_id: UUID, payload: RequestPayload) -> Sequence[str]:
    if payload.subject_type is SubjectType.CUSTOMER_ID:
        return [payload.subject_id]
    return await store.customers_with_email(tenant_id, payload.subject_id)


def manifest_of(sections: dict[str, SectionDigest]) -> Manifest:
    """Return the manifest of these sections."""
    return Manifest(sections=sections, sha256=sha256_of(canonical(msgspec.to_builtins(sections))))


async def download(
    requests: CustomerDataRequests, tenant_id: UUID, request: CustomerDataRequest
) -> AsyncGenerator[bytes]:
    """Yield the export of a completed request as one JSON document."""
    digests = await requests.digests(tenant_id, request.id)
    head = msgspec.json.encode(
        {
            "requestId": request.id,
            "tenantId": tenant_id,
            "subjectId": request.subject_id,
            "subjectType": request.subject_type,
            "requestedAt": request.requested_at,
            "completedAt": request.completed_at,
            "manifest": manifest_of(digests),
        }
    )
    yield head[:-1] + b',"sections":{'
    for place, name in enumerate(digests):
        yield (b"," if place else b"") + msgspec.json.encode(name) + b":["
        is_first = True
        async for lines in requests.lines(tenant_id, request.id, name):
            yield (b"" if is_first else b",") + lines.rstrip(b"\n").replace(b"\n", b",")
            is_first = False
        yield b"]"
    yield b"}}"


async def require_export(requests: CustomerDataRequests, tenant_id: UUID, id: UUID) -> CustomerDataRequest:
    """Return a request whose export is there. Raises `NotFound`."""
    found = await requests.get(tenant_id, id)
    is_there = (
        found is not None
        and found.request_type is RequestType.EXPORT
        and found.status is RequestStatus.COMPLETED
        and bool(await requests.digests(tenant_id, id))
    )
    if found is None or not is_there:
        raise NotFound(f"there is no completed export {id} in this tenant")
    return found
