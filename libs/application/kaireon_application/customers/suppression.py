"""Which dated bans an interaction brings about: shown by suppression rows, decided from history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from msgspec.structs import replace

from kaireon_application.customers.history import Suppression
from kaireon_application.decisioning.changes import InteractionRow, SuppressionRow
from kaireon_application.decisioning.snapshot import TenantSnapshot
from kaireon_core.catalog.document import Catalogue, Document
from kaireon_core.decisioning.calendar import DAY_MS, HOUR_MS
from kaireon_core.decisioning.outcome_policies import IMPRESSION, banning_outcomes, suppressed_category

_ALL = "all"
_RESPONSES = frozenset({"positive", "negative"})


def held_by_policies(found: Sequence[Suppression], catalogue: Catalogue) -> list[Suppression]:
    """Return the bans as the policies active now see them: without its policy a ban is over."""
    active = {UUID(policy.id) for policy in catalogue.contact_policies if policy.status == "active"}
    return [one if one.policy_id in active else replace(one, is_active=False) for one in found]


def suppressions_after(rows: Sequence[InteractionRow], snapshot: TenantSnapshot) -> list[SuppressionRow]:
    """Return a row for every ban of an active policy that these interactions start.

    One answer is one moment: what several of its impressions start is started once.
    """
    if not rows:
        return []
    policies = [
        (policy, starts)
        for policy in snapshot.configuration.catalogue.contact_policies
        if policy.status == "active" and (starts := _STARTS.get(policy.body["ruleType"]))
    ]
    started = [
        ban
        for row in rows
        for policy, starts in policies
        for ban in starts(policy, row, snapshot.find("offers", row.offer_id))
    ]
    return list({(one.policy_id, one.scope, one.scope_id): one for one in started}.values())


def _cooldown(policy: Document, row: InteractionRow, offer: Document | None) -> Iterable[SuppressionRow]:
    if row.outcome_key != IMPRESSION:
        return
    hours = policy.body["config"]["cooldownHours"]
    reason = f"Cooldown {hours}h after {row.outcome_key}"
    for place in _places(policy, row, offer):
        yield _ban(policy, row, place, reason, float(hours) * HOUR_MS)


def _outcome_based(policy: Document, row: InteractionRow, offer: Document | None) -> Iterable[SuppressionRow]:
    keys, days = banning_outcomes(policy.body["config"])
    if row.outcome_key not in keys:
        return
    reason = f"Suppressed {days:g}d after {row.outcome_key}"
    for place in _places(policy, row, offer):
        yield _ban(policy, row, place, reason, days * DAY_MS)


def _category_suppression(policy: Document, row: InteractionRow, offer: Document | None) -> Iterable[SuppressionRow]:
    config = policy.body["config"]
    field, id_ = suppressed_category(config)
    if row.classification not in _RESPONSES or offer is None or offer.body.get(field) != id_:
        return
    scope = "category" if field == "categoryId" else "subcategory"
    days = float(config["suppressionDays"])
    yield _ban(policy, row, (scope, id_), f"Suppressed {days:g}d after {row.outcome_key}", days * DAY_MS)


_STARTS: dict[str, Callable[[Document, InteractionRow, Document | None], Iterable[SuppressionRow]]] = {
    "cooldown": _cooldown,
    "outcome_based": _outcome_based,
    "category_suppression": _category_suppression,
}


def _ban(policy: Document, row: InteractionRow, place: tuple[str, str], reason: str, lasts_ms: float) -> SuppressionRow:
    return SuppressionRow(
        policy_id=policy.id,
        scope=place[0],
        scope_id=place[1],
        policy_type=policy.body["ruleType"],
        reason=reason,
        expires_at_ms=row.occurred_at_ms + round(lasts_ms),
    )


def _places(policy: Document, row: InteractionRow, offer: Document | None) -> list[tuple[str, str]]:
    """Return where an interaction starts a ban: the policy's scopes that it lies in, with `perOffer` its offer."""
    inside = [one for one in _scopes(policy) if _covers(*one, row, offer)]
    if not policy.body["config"].get("perOffer"):
        return inside
    return [("offer", row.offer_id)] if inside and row.offer_id else []


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
