"""Let a request pass or refuse it; the last approval makes the change, in the same transaction."""

from __future__ import annotations

from uuid import UUID

import msgspec

from kaireon_application.catalog.delete_entity import delete_found
from kaireon_application.catalog.kind import Caller
from kaireon_application.catalog.read_entity import require
from kaireon_application.catalog.write_entity import new_change, store_change, store_new, validated
from kaireon_application.errors import Conflict, Forbidden, InvalidInput, NotFound, Unprocessable
from kaireon_application.governance.approval import (
    PUBLISH_WITHIN,
    Approval,
    ApprovalRole,
    Approvals,
    ApprovalStatus,
    ApprovalWriter,
    DecisionForm,
    RequestedAction,
    Verdict,
)
from kaireon_application.governance.audit_log import AuditAction
from kaireon_application.governance.request_approval import APPLIED_KINDS, read_payload
from kaireon_application.platform.tenant_settings import effective_settings

_LADDER = list(ApprovalRole)


async def decide_approval(approvals: Approvals, caller: Caller, id: UUID, form: DecisionForm) -> Approval:
    """Decide the open stage of a request, and carry the request out when it was the last one.

    Raises `NotFound`; `Conflict` when nothing is open, or the change cannot be made; `Forbidden` for too low a role or
    the requester's own approval; `Unprocessable` when the payload does not fit any more.
    """
    async with approvals.writing(caller.tenant_id, caller.actor) as writer:
        before = await writer.approval(id)
        if before is None:
            raise NotFound(f"there is no approval {id} in this tenant")
        _require_open(before, caller)
        if form.action is Verdict.REJECT:
            after = _decided(before, caller, form, ApprovalStatus.REJECTED)
            await writer.change_approval(before, after, AuditAction.REJECT)
            return after
        await _require_approver(writer, before, caller)
        after = _decided(before, caller, form, ApprovalStatus.APPROVED)
        if after.status is ApprovalStatus.APPROVED and after.action is not RequestedAction.PUBLISH:
            after = msgspec.structs.replace(after, entity_id=await _carried_out(writer, after, caller))
        await writer.change_approval(before, after, AuditAction.APPROVE)
        return after


def _require_open(approval: Approval, caller: Caller) -> None:
    is_late = approval.status is ApprovalStatus.PENDING and approval.expires_at <= caller.at
    status = ApprovalStatus.EXPIRED if is_late else approval.status
    if status is not ApprovalStatus.PENDING:
        raise Conflict(f"this request is {status} already; make a new one")


async def _require_approver(writer: ApprovalWriter, approval: Approval, caller: Caller) -> None:
    stage = approval.stages[_open_stage(approval)]
    if _LADDER.index(ApprovalRole(caller.actor.role)) < _LADDER.index(stage.required_role):
        raise Forbidden(f"the stage '{stage.stage_name}' needs the role {stage.required_role}")
    if approval.requested_by == caller.actor.user_id:
        reason = await _four_eyes(writer)
        if reason is not None:
            raise Forbidden(f"whoever asks for a change may not approve it ({reason})")


async def _four_eyes(writer: ApprovalWriter) -> str | None:
    """Return why two people are needed, or None; settings that cannot be read say yes."""
    try:
        settings = effective_settings(await writer.stored_settings())
    except msgspec.ValidationError:
        return "settings_unavailable"
    return "fourEyesEnabled" if settings.ai_analyzer_settings.governance.four_eyes_enabled else None


def _open_stage(approval: Approval) -> int:
    return next(place for place, stage in enumerate(approval.stages) if stage.status is ApprovalStatus.PENDING)


def _decided(approval: Approval, caller: Caller, form: DecisionForm, verdict: ApprovalStatus) -> Approval:
    """Return the request with its open stage decided; it is decided as a whole by a refusal or its last stage."""
    place = _open_stage(approval)
    stage = msgspec.structs.replace(
        approval.stages[place],
        status=verdict,
        decided_by=caller.actor.user_id,
        decided_by_name=caller.actor.user_name,
        decided_at=caller.at,
        comments=form.comments,
    )
    stages = (*approval.stages[:place], stage, *approval.stages[place + 1 :])
    if verdict is ApprovalStatus.APPROVED and place + 1 < len(stages):
        return msgspec.structs.replace(approval, stages=stages)
    is_published_later = verdict is ApprovalStatus.APPROVED and approval.action is RequestedAction.PUBLISH
    return msgspec.structs.replace(
        approval,
        stages=stages,
        status=verdict,
        decided_at=caller.at,
        expires_at=caller.at + PUBLISH_WITHIN if is_published_later else approval.expires_at,
    )


async def _carried_out(writer: ApprovalWriter, approval: Approval, caller: Caller) -> str:
    """Make the change on the authority of the last approver, and return the id of what was changed."""
    kind = APPLIED_KINDS.get(approval.entity_type)
    if kind is None:
        raise Conflict(
            f"a {approval.entity_type} cannot be changed by an approval; known are {', '.join(APPLIED_KINDS)}"
        )
    if kind.is_admin_only and not caller.is_admin:
        raise Forbidden(f"an approval that changes a {kind.noun} needs the role admin at its last stage")
    try:
        form = read_payload(kind, approval.action, approval.payload)
        match approval.action:
            case RequestedAction.CREATE if form is not None:
                (stored,) = await store_new(writer, kind, validated(kind, [new_change(caller, form, "$.payload")]))
                return str(stored.id)
            case RequestedAction.UPDATE if form is not None:
                return str((await store_change(writer, kind, caller, str(approval.entity_id), form)).id)
            case _:
                entity = await require(writer, kind.name, str(approval.entity_id))
                await delete_found(writer, kind, entity)
                return str(entity.id)
    except (InvalidInput, NotFound) as error:
        raise Unprocessable(f"what was asked for cannot be done any more: {error.message}", error.problems) from None
