"""Configuration as documents that live in git: applied as a whole, and compared with what is live."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Protocol
from uuid import UUID

import msgspec
from msgspec import Meta

from kaireon_application.catalog.category import CATEGORY, SUB_CATEGORY
from kaireon_application.catalog.channel import CHANNEL, PLACEMENT
from kaireon_application.catalog.contact_policy import CONTACT_POLICY
from kaireon_application.catalog.creative import CREATIVE
from kaireon_application.catalog.entities import Entity, EntityWriter
from kaireon_application.catalog.fields import Key, Label, OpenObject
from kaireon_application.catalog.forms import update_form
from kaireon_application.catalog.frequency_cap import FREQUENCY_CAP
from kaireon_application.catalog.guardrail import GUARDRAIL
from kaireon_application.catalog.kind import Caller, EntityKind
from kaireon_application.catalog.offer import OFFER
from kaireon_application.catalog.outcome_type import OUTCOME_TYPE
from kaireon_application.catalog.qualification_rule import QUALIFICATION_RULE
from kaireon_application.catalog.ranking_profile import RANKING_PROFILE
from kaireon_application.catalog.write_entity import changed_entity, document_of, new_change, store_new, validated
from kaireon_application.customers.behavioral_metric import BEHAVIORAL_METRIC
from kaireon_application.customers.segment import SEGMENT
from kaireon_application.decisioning.flow_route import FLOW_ROUTE
from kaireon_application.engagement.journey import JOURNEY
from kaireon_application.engagement.run_definition import RUN
from kaireon_application.engagement.trigger import TRIGGER
from kaireon_application.errors import InvalidInput, KaireonError
from kaireon_application.governance.actor import SYSTEM, Actor
from kaireon_application.governance.audit_log import AuditAction, AuditEntry, wire_type
from kaireon_core.governance.audited import changed_fields
from kaireon_runtime.outbound import Anywhere

# In the order in which they are applied: what others refer to comes first.
_ORDER = (
    CATEGORY,
    SUB_CATEGORY,
    CHANNEL,
    PLACEMENT,
    OUTCOME_TYPE,
    BEHAVIORAL_METRIC,
    SEGMENT,
    RANKING_PROFILE,
    OFFER,
    CREATIVE,
    FREQUENCY_CAP,
    GUARDRAIL,
    QUALIFICATION_RULE,
    CONTACT_POLICY,
    FLOW_ROUTE,
    JOURNEY,
    TRIGGER,
    RUN,
)
KINDS: dict[str, EntityKind] = {wire_type(kind.name): kind for kind in _ORDER} | {"arbitrationProfile": RANKING_PROFILE}


class GitOpsDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing as it shall be: `spec` has the fields of its call but the key; what it leaves out stays as it is."""

    kind: Label
    key: Key
    spec: OpenObject


class ApplyForm(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Everything that shall be applied; with `dryRun` it is only said what would be done."""

    documents: Annotated[list[GitOpsDocument], Meta(max_length=1_000)]
    dry_run: bool = False


class PlannedAction(StrEnum):
    """What is done with one thing."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"


class PlanStep(msgspec.Struct, frozen=True, kw_only=True):
    """What is done with one document; `changes` has `{"from", "to"}` of each field that differs."""

    kind: str
    key: str
    action: PlannedAction
    changes: dict[str, Any] = {}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, or would be."""

    applied: bool
    steps: list[PlanStep]


class GitOpsWriter(EntityWriter, Protocol):
    """Writes the tenant's things and what was applied last inside one transaction."""

    async def keep(self, documents: Sequence[GitOpsDocument]) -> None:
        """Keep what is applied now, instead of what was applied last."""
        ...

    async def kept(self) -> list[GitOpsDocument]:
        """Return what was applied last."""
        ...

    async def note_entries(self, entries: Sequence[AuditEntry]) -> None:
        """Write these to the audit log."""
        ...

    async def undo(self) -> None:
        """Take back whatever was written in this transaction."""
        ...


class GitOps(Protocol):
    """Opens transactions. Every method raises `Unavailable` while the storage is away."""

    def writing(self, tenant_id: UUID, actor: Actor) -> AbstractAsyncContextManager[GitOpsWriter]:
        """Open a transaction in which this actor writes; the writers of a tenant go one after another."""
        ...

    async def tenants(self) -> Sequence[UUID]:
        """Return the tenants to whom something was applied."""
        ...


async def apply_documents(gitops: GitOps, caller: Caller, form: ApplyForm) -> Plan:
    """Make the tenant's things be as the documents say, all of them or none.

    Raises `InvalidInput`, `NotFound` and `Conflict` as the calls do that create or change one thing.
    """
    _require_sound(form.documents)
    async with gitops.writing(caller.tenant_id, caller.actor) as writer:
        steps = [await _applied(writer, caller, document) for document in _sorted(form.documents)]
        if form.dry_run:
            await writer.undo()
        else:
            await writer.keep(form.documents)
    return Plan(applied=not form.dry_run, steps=steps)


async def check_drift(gitops: GitOps, now: datetime) -> tuple[int, tuple[str, ...]]:
    """Compare every tenant's things with what was applied last, and note what differs in the audit log.

    Returns how many things differ, and which tenants failed, each on one line.
    """
    count, failures = 0, list[str]()
    for tenant_id in await gitops.tenants():
        caller = Caller(tenant_id=tenant_id, is_admin=True, at=now, actor=SYSTEM, reach=Anywhere())
        try:
            count += await _check_tenant(gitops, caller)
        except KaireonError as error:
            failures.append(f"tenant {tenant_id}: {error.message}")
    return count, tuple(failures)


async def _check_tenant(gitops: GitOps, caller: Caller) -> int:
    async with gitops.writing(caller.tenant_id, caller.actor) as writer:
        entries = [
            entry
            for document in _sorted(await writer.kept())
            if (entry := await _drift_of(writer, caller, document)) is not None
        ]
        # Comparing may have settled things that nobody asked to be changed.
        await writer.undo()
    if entries:
        async with gitops.writing(caller.tenant_id, caller.actor) as writer:
            await writer.note_entries(entries)
    return len(entries)


async def _drift_of(writer: GitOpsWriter, caller: Caller, document: GitOpsDocument) -> AuditEntry | None:
    """Return what the audit log says of a thing that is not as it was applied, None of one that is."""
    kind = KINDS[document.kind]
    live = (await writer.find(kind.name, [document.key])).get(document.key)
    if live is None:
        changes: dict[str, Any] = {"key": {"from": document.key, "to": None}}
    else:
        try:
            changes = _differences(await _wanted(writer, kind, caller, document), live)
        except KaireonError as error:
            changes = {"spec": {"from": error.message, "to": None}}
    if not changes:
        return None
    return AuditEntry(
        action=AuditAction.GITOPS_DRIFT_DETECTED,
        entity_type=document.kind,
        entity_id=document.key if live is None else str(live.id),
        entity_name=document.key if live is None else live.name,
        entity_version=None if live is None else live.row_version,
        changes=changes,
    )


async def _applied(writer: GitOpsWriter, caller: Caller, document: GitOpsDocument) -> PlanStep:
    kind = KINDS[document.kind]
    try:
        live = (await writer.find(kind.name, [document.key])).get(document.key)
        if live is None:
            form = _form(kind.create, {**document.spec, "key": document.key})
            await store_new(writer, kind, validated(kind, [new_change(caller, form)]))
            return PlanStep(kind=document.kind, key=document.key, action=PlannedAction.CREATE)
        wanted = await _wanted(writer, kind, caller, document)
        changes = _differences(live, wanted)
        if not changes:
            return PlanStep(kind=document.kind, key=document.key, action=PlannedAction.UNCHANGED)
        await writer.update(wanted)
    except KaireonError as error:
        raise type(error)(f"{document.kind} '{document.key}': {error.message}", error.problems) from None
    return PlanStep(kind=document.kind, key=document.key, action=PlannedAction.UPDATE, changes=changes)


async def _wanted(writer: GitOpsWriter, kind: EntityKind, caller: Caller, document: GitOpsDocument) -> Entity:
    """Return a thing that is there as the document wants it; what can be said only of a new thing is left out."""
    spec = {name: value for name, value in document.spec.items() if name not in kind.fixed_fields}
    return await changed_entity(writer, kind, caller, document.key, _form(update_form(kind), spec))


def _differences(before: Entity, after: Entity) -> dict[str, Any]:
    return changed_fields(document_of(before), document_of(after))


def _form(form: type[msgspec.Struct], spec: dict[str, Any]) -> msgspec.Struct:
    try:
        return msgspec.convert(spec, form)
    except msgspec.ValidationError as error:
        raise InvalidInput.at("$.spec", str(error)) from None


def _sorted(documents: Sequence[GitOpsDocument]) -> list[GitOpsDocument]:
    return sorted(documents, key=lambda one: _ORDER.index(KINDS[one.kind]))


def _require_sound(documents: Sequence[GitOpsDocument]) -> None:
    seen = set[tuple[str, str]]()
    for place, document in enumerate(documents):
        if document.kind not in KINDS:
            known = ", ".join(KINDS)
            raise InvalidInput.at(f"$.documents[{place}].kind", f"{document.kind} is not known; known are {known}")
        if "key" in document.spec or "rowVersion" in document.spec:
            raise InvalidInput.at(f"$.documents[{place}].spec", "has no key and no rowVersion")
        name = (KINDS[document.kind].name, document.key)
        if name in seen:
            raise InvalidInput.at(f"$.documents[{place}]", f"there is another {document.kind} '{document.key}'")
        seen.add(name)
