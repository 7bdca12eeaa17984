"""The base flow: what decides for a tenant that has published nothing."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from kaireon_application.catalog.entities import Entity, EntityDraft
from kaireon_application.decisioning.decision_flow import DECISION_FLOW, is_first_flow
from kaireon_application.decisioning.publish_flow import FlowVersions, publish_config, publish_draft
from kaireon_application.governance.actor import Actor

BASE_FLOW_KEY = "base-nba-flow"


def base_flow_config() -> dict[str, Any]:
    """Return the nodes of the base flow, in order."""
    nodes: list[dict[str, Any]] = [
        {"id": "inventory", "type": "inventory", "config": {"scope": "all", "includeStatuses": ["active"]}},
        {
            "id": "match",
            "type": "match_creatives",
            "config": {"placementMatchMode": "exact", "requireCreative": False},
        },
        {"id": "enrich", "type": "enrich", "config": {"optional": True, "lookupKey": "customer_id"}},
        {"id": "qualify", "type": "qualify", "config": {"mode": "all"}},
        {"id": "contact_policy", "type": "contact_policy", "config": {"mode": "all"}},
        {"id": "pre_score", "type": "extension_point", "phase": 2, "config": {"hook": "pre_score"}},
        {"id": "score", "type": "score", "config": {"method": "priority_weighted"}},
        {"id": "score_override", "type": "extension_point", "phase": 2, "config": {"hook": "score_override"}},
        {"id": "rank", "type": "rank", "config": {"method": "diversity", "maxCandidates": 5}},
        {"id": "post_rank", "type": "extension_point", "phase": 2, "config": {"hook": "post_rank"}},
        {"id": "response", "type": "response", "config": {"responseFormat": "standard"}},
    ]
    return {"version": 2, "nodes": nodes, "flowConfig": {}}


async def ensure_base_flow(flows: FlowVersions, tenant_id: UUID, actor: Actor) -> tuple[Entity, bool]:
    """Return the base flow, and whether it had to be created and published now."""
    async with flows.writing(tenant_id, actor) as writer:
        found = (await writer.find(DECISION_FLOW.name, [BASE_FLOW_KEY])).get(BASE_FLOW_KEY)
        if found is not None and found.body.get("publishedVersions"):
            return found, False
        if found is None:
            draft = _draft(is_default=await is_first_flow(writer))
            (found,) = await writer.insert(DECISION_FLOW.name, [draft])
            # The product's own flow, as nobody has touched it: there is nothing that a person would approve.
            entity, _ = await publish_config(writer, found, base_flow_config(), "base flow")
        else:
            entity, _ = await publish_draft(writer, found, "base flow")
        return entity, True


def _draft(*, is_default: bool) -> EntityDraft:
    return EntityDraft(
        id=uuid4(),
        key=BASE_FLOW_KEY,
        name="Base NBA Flow",
        status="draft",
        body={
            "description": "Inventory, creatives, rules, policies, priority: published when nothing else is.",
            "autoAssembly": True,
            "couplingOverride": None,
            "isDefault": is_default,
            "draftConfig": base_flow_config(),
            "publishedVersions": [],
            "protected": False,
        },
    )
