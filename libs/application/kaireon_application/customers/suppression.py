"""Which dated bans an interaction brings about: shown by suppression rows, decided from history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from kaireon_application.customers.history import Interaction, Suppression
from kaireon_application.decisioning.changes import InteractionRow, SuppressionRow
from kaireon_application.decisioning.snapshot import TenantSnapshot
from kaireon_core.catalog.document import Document
from kaireon_core.decisioning.calendar import DAY_MS, HOUR_MS
from kaireon_core.decisioning.outcome_policies import IMPRESSION, banning_outcomes, suppressed_category

_ALL = "all"
_RESPONSES = frozenset({"positive", "negative"})


def bans_now(
    stored: Sequence[Suppression], done: Sequence[Interaction], snapshot: TenantSnapshot, now: datetime
) -> list[Suppression]:
    """Return the bans as history and the policies active now make them, the latest to end first.

    A policy that is newer than what the customer did bans all the same, and one that was changed bans as it is now;
    a stored ban that none of them makes is over. `done` is what the customer did within `look_back_ms`.
    """
    bans = {one.id: replace(one, is_active=False) for one in stored}
    started = defaultdict[str, list[tuple[datetime, SuppressionRow]]](list)
    for one in done:
        for ban in suppressions_after([_row_of(one)], snapshot):
            started[f"{ban.policy_id}:{ban.scope}:{ban.scope_id}"].append((one.timestamp, ban))
    for id_, mine in started.items():
        bans[id_] = _suppression(id_, mine, bans.get(id_), snapshot, now)
    return sorted(bans.values(), key=lambda one: (-one.expires_at.timestamp(), one.id))


def look_back_ms(snapshot: TenantSnapshot) -> int:
    """Return how far back what customers did may ban them now, by any active policy."""
    lengths = [
        _LENGTHS[policy.body["ruleType"]](policy.body["config"])
        for policy in snapshot.configuration.catalogue.contact_policies
        if policy.status == "active" and policy.body["ruleType"] in _LENGTHS
    ]
    return round(max(lengths, default=0))


_LENGTHS: dict[str, Callable[[dict[str, Any]], float]] = {
    "cooldown": lambda config: float(config["cooldownHours"]) * HOUR_MS,
    "outcome_based": lambda config: banning_outcomes(config)[1] * DAY_MS,
    "category_suppression": lambda config: float(config["suppressionDays"]) * DAY_MS,
}


def _suppression(
    id_: str,
    started: Sequence[tuple[datetime, SuppressionRow]],
    before: Suppression | None,
    snapshot: TenantSnapshot,
    now: datetime,
) -> Suppression:
    last = max((ban for _, ban in started), key=lambda ban: ban.expires_at_ms)
    offer = snapshot.find("offers", last.scope_id) if last.scope == "offer" else None
    expires_at = datetime.fromtimestamp(last.expires_at_ms / 1000, UTC)
    return Suppression(
        id=id_,
        policy_id=UUID(last.policy_id),
        scope=last.scope,
        scope_id=last.scope_id,
        offer_name=offer.name if offer else None,
        policy_type=last.policy_type,
        reason=last.reason,
        trigger_count=before.trigger_count if before else len(started),
        expires_at=expires_at,
        created_at=before.created_at if before else min(at for at, _ in started),
        is_active=expires_at > now,
    )


def _row_of(one: Interaction) -> InteractionRow:
    def text(id_: UUID | None) -> str | None:
        return None if id_ is None else str(id_)

    return InteractionRow(
        id=str(one.id),
        occurred_at_ms=round(one.timestamp.timestamp() * 1000),
        kind="outcome",
        outcome_key=one.outcome_type_key,
        classification=one.classification,
        offer_id=text(one.offer_id),
        creative_id=text(one.creative_id),
        channel_id=text(one.channel_id),
        placement_id=text(one.placement_id),
    )


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
