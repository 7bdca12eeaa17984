"""Which dated bans an interaction brings about: shown by suppression rows, decided from history."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from msgspec.structs import replace

from kaireon_application.customers.history import Suppression
from kaireon_application.decisioning.changes import InteractionRow, SuppressionRow
from kaireon_application.decisioning.snapshot import TenantSnapshot
from kaireon_core.catalog.document import Catalogue, Document
from kaireon_core.decisioning.calendar import HOUR_MS

_ALL = "all"


def held_by_policies(found: Sequence[Suppression], catalogue: Catalogue) -> list[Suppression]:
    """Return the bans as the policies active now see them: without its policy a ban is over."""
    active = {UUID(policy.id) for policy in catalogue.contact_policies if policy.status == "active"}
    return [one if one.policy_id in active else replace(one, is_active=False) for one in found]


def suppressions_after(rows: Sequence[InteractionRow], snapshot: TenantSnapshot) -> list[SuppressionRow]:
    """Return a row for every active cooldown that these interactions start; only impressions start any.

    One answer is one moment: what several of its impressions start is started once.
    """
    impressions = [row for row in rows if row.outcome_key == "impression"]
    if not impressions:
        return []
    policies = [
        policy
        for policy in snapshot.configuration.catalogue.contact_policies
        if policy.status == "active" and policy.body.get("ruleType") == "cooldown"
    ]
    started = [
        _cooldown(policy, row, scope, scope_id)
        for row in impressions
        for policy in policies
        for scope, scope_id in _scopes(policy)
        if _covers(scope, scope_id, row, snapshot.find("offers", row.offer_id))
    ]
    return list({(one.policy_id, one.scope, one.scope_id): one for one in started}.values())


def _cooldown(policy: Document, row: InteractionRow, scope: str, scope_id: str) -> SuppressionRow:
    hours = policy.body["config"]["cooldownHours"]
    is_per_offer = bool(policy.body["config"].get("perOffer"))
    return SuppressionRow(
        policy_id=policy.id,
        scope="offer" if is_per_offer else scope,
        scope_id=(row.offer_id or _ALL) if is_per_offer else scope_id,
        policy_type="cooldown",
        reason=f"Cooldown {hours}h after {row.outcome_key}",
        expires_at_ms=row.occurred_at_ms + round(float(hours) * HOUR_MS),
    )


def _scopes(policy: Document) -> list[tuple[str, str]]:
    single = [{"scope": policy.body.get("scope") or "offer", "scopeId": policy.body.get("scopeId")}]
    return [(str(one["scope"]), str(one.get("scopeId") or _ALL)) for one in policy.body.get("scopes") or single]


def _covers(scope: str, scope_id: str, row: InteractionRow, offer: Document | None) -> bool:
    body = offer.body if offer else {}
    found = {
        "global": _ALL,
        "offer": row.offer_id,
        "creative": row.creative_id,
        "channel": row.channel_id,
        "placement": row.placement_id,
        "category": body.get("categoryId"),
        "subcategory": body.get("subCategoryId"),
    }.get(scope)
    return found == (_ALL if scope == "global" else scope_id)
