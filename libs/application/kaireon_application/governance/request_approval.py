"""Ask for a change: what can be seen to be impossible is refused at once, not when it has been approved."""

from __future__ import annotations

from uuid import uuid4

import msgspec

from kaireon_application.catalog.channel import CHANNEL
from kaireon_application.catalog.contact_policy import CONTACT_POLICY
from kaireon_application.catalog.creative import CREATIVE
from kaireon_application.catalog.entities import Entity
from kaireon_application.catalog.forms import update_form
from kaireon_application.catalog.kind import Caller, EntityKind
from kaireon_application.catalog.offer import OFFER
from kaireon_application.catalog.qualification_rule import QUALIFICATION_RULE
from kaireon_application.catalog.ranking_profile import RANKING_PROFILE
from kaireon_application.decisioning.decision_flow import DECISION_FLOW
from kaireon_application.errors import InvalidInput, NotFound
from kaireon_application.governance.approval import (
    PENDING_FOR,
    Approval,
    ApprovalForm,
    Approvals,
    ApprovalStatus,
    ApprovalWriter,
    RequestedAction,
    Stage,
)
from kaireon_application.governance.audit_log import wire_type
from kaireon_application.learning.algorithm_model import ALGORITHM_MODEL

FLOW_TYPE = wire_type(DECISION_FLOW.name)

# What an approval can carry out by itself, by the name that requests give it.
APPLIED_KINDS: dict[str, EntityKind] = {
    **{
        wire_type(kind.name): kind
        for kind in (
            ALGORITHM_MODEL,
            QUALIFICATION_RULE,
            CONTACT_POLICY,
            DECISION_FLOW,
            OFFER,
            CREATIVE,
            CHANNEL,
            RANKING_PROFILE,
        )
    },
    "arbitrationProfile": RANKING_PROFILE,
}


async def request_approval(approvals: Approvals, caller: Caller, form: ApprovalForm) -> Approval:
    """Store a request. Raises `InvalidInput`, or `NotFound` for an unknown `entityId`."""
    kind = APPLIED_KINDS.get(form.entity_type)
    _require_action(form, kind)
    if kind is not None:
        read_payload(kind, form.action, form.payload)
    async with approvals.writing(caller.tenant_id, caller.actor) as writer:
        entity = await _entity(writer, kind, form)
        approval = Approval(
            id=uuid4(),
            entity_type=form.entity_type,
            entity_id=form.entity_id if entity is None else str(entity.id),
            entity_version=None if entity is None else entity.row_version,
            entity_name=form.entity_name,
            action=form.action,
            payload=form.payload,
            stages=tuple(
                Stage(stage_name=stage.stage_name, required_role=stage.required_role) for stage in form.stages
            ),
            status=ApprovalStatus.PENDING,
            requested_by=caller.actor.user_id,
            requested_by_name=caller.actor.user_name,
            created_at=caller.at,
            expires_at=caller.at + PENDING_FOR,
        )
        await writer.add_approval(approval)
    return approval


def read_payload(kind: EntityKind, action: RequestedAction, payload: dict[str, object]) -> msgspec.Struct | None:
    """Return a payload as the form of its call, None for calls without a body. Raises `InvalidInput`."""
    if action not in {RequestedAction.CREATE, RequestedAction.UPDATE}:
        return None
    form = kind.create if action is RequestedAction.CREATE else update_form(kind)
    try:
        return msgspec.convert(payload, form)
    except msgspec.ValidationError as error:
        raise InvalidInput.at("$.payload", str(error)) from None


def _require_action(form: ApprovalForm, kind: EntityKind | None) -> None:
    if form.action is RequestedAction.PUBLISH and form.entity_type != FLOW_TYPE:
        raise InvalidInput.at("$.action", f"publish is for entityType {FLOW_TYPE}")
    if form.action is not RequestedAction.CREATE and kind is not None and form.entity_id is None:
        raise InvalidInput.at("$.entityId", f"is required to {form.action}")


async def _entity(writer: ApprovalWriter, kind: EntityKind | None, form: ApprovalForm) -> Entity | None:
    """Return the thing that is to be changed, None where there is none or it cannot be known."""
    if kind is None or form.entity_id is None or form.action is RequestedAction.CREATE:
        return None
    found = (await writer.find(kind.name, [form.entity_id])).get(form.entity_id)
    if found is None:
        raise NotFound.reference("$.entityId", f"there is no {kind.noun} {form.entity_id!r} in this tenant")
    return found
