"""Which caps bind which answers, read from what is configured, by nothing that enforces them.

Only what can be told afterwards is said here. A cap in a branch binds some candidates alone, and the segments of a
customer have changed since: neither is among these, and `check_caps` finds less for it, never more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from kaireon_core.catalog.document import Document
from kaireon_core.decisioning.flow import ContactPolicyNode, Flow

CAP_TYPES = ("frequency_cap", "cross_channel_cap", "customer_total_cap")
_OVERRIDE = "allow_override"
_HOUR_SECONDS = 3_600
# At most, a change of summer time included.
_PERIOD_DAYS = {"day": 2, "week": 8, "month": 32}


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """An offer, creative or channel, and what it lies in."""

    kind: str
    id: str
    key: str
    category_id: str | None = None
    sub_category_id: str | None = None
    placement_id: str | None = None

    def names(self) -> Iterator[tuple[str, str | None]]:
        """Yield every scope, as policies name it, that holds this."""
        yield from ((self.kind, self.id), (self.kind, self.key))
        yield from (("category", self.category_id), ("subcategory", self.sub_category_id))
        yield ("placement", self.placement_id)


class Area(msgspec.Struct, frozen=True, kw_only=True):
    """Everything, or what has one of these offers, creatives or channels."""

    is_everywhere: bool = False
    ids: tuple[str, ...] = ()


class HeldCap(msgspec.Struct, frozen=True, kw_only=True):
    """One number of a cap: at most `maximum` contacts per calendar period, in so many seconds, or ever.

    It binds the answers of these flows where they lie in `bound` and not in `freed`, and counts what lies in `counted`.
    """

    number: int
    policy_id: str
    rule_type: str
    maximum: int
    period: str | None
    seconds: float | None
    is_per_offer: bool
    spares_mandatory: bool
    flow_ids: tuple[str, ...]
    bound: Area
    counted: Area
    freed: Area

    @property
    def days_back(self) -> float | None:
        """How long before an answer its window may have begun; None: any time."""
        if self.period is not None:
            return _PERIOD_DAYS[self.period]
        return None if self.seconds is None else self.seconds / (24 * _HOUR_SECONDS)


_Scope: TypeAlias = tuple[str, str | None]
_Window: TypeAlias = tuple[int, str | None, float | None]


def held_caps(policies: Sequence[Document], flows: Mapping[str, Flow], places: Sequence[Place]) -> list[HeldCap]:
    """Return every number that some answer of these flows, by id and without calls, is held to."""
    ids_of = defaultdict[_Scope, list[str]](list)
    for place in places:
        for name in place.names():
            ids_of[name].append(place.id)
    by_id = {policy.id: policy for policy in policies}
    caps = list[HeldCap]()
    for (policy_id, freed), flow_ids in _bindings(policies, flows, ids_of).items():
        policy = by_id[policy_id]
        bound = _area(_scopes(policy), ids_of)
        for maximum, period, seconds in _windows(policy.body["config"]):
            caps.append(
                HeldCap(
                    number=len(caps),
                    policy_id=policy_id,
                    rule_type=policy.body["ruleType"],
                    maximum=maximum,
                    period=period,
                    seconds=seconds,
                    is_per_offer=bool(policy.body["config"].get("perOffer")),
                    spares_mandatory=_spares_mandatory(policy.body),
                    flow_ids=tuple(flow_ids),
                    bound=bound,
                    counted=Area(is_everywhere=True) if _counts_all(policy) else bound,
                    freed=freed,
                )
            )
    return caps


def _bindings(
    policies: Sequence[Document], flows: Mapping[str, Flow], ids_of: Mapping[_Scope, list[str]]
) -> dict[tuple[str, Area], list[str]]:
    """Return the flows that each cap binds, apart for what the overrides beside it free."""
    bindings = defaultdict[tuple[str, Area], list[str]](list)
    for flow_id, flow in flows.items():
        for node in flow.nodes:
            if isinstance(node, ContactPolicyNode):
                chosen = list(_chosen(policies, node))
                overrides = [one for one in chosen if one.body["ruleType"] == _OVERRIDE]
                freed = _freed([scope for one in overrides for scope in _scopes(one)], ids_of)
                for policy in chosen:
                    if policy.body["ruleType"] in CAP_TYPES:
                        bindings[policy.id, freed].append(flow_id)
    return bindings


def _chosen(policies: Iterable[Document], node: ContactPolicyNode) -> Iterator[Document]:
    for policy in policies:
        is_named = policy.id in node.config.policy_ids or policy.key in node.config.policy_ids
        if policy.status == "active" and (is_named or node.config.mode == "all"):
            yield policy


def _scopes(policy: Document) -> list[_Scope]:
    if policy.body["ruleType"] == "customer_total_cap":
        return [("global", None)]
    scopes: list[dict[str, Any]] = policy.body.get("scopes") or [policy.body]
    return [(scope.get("scope") or "offer", scope.get("scopeId")) for scope in scopes]


def _area(scopes: Sequence[_Scope], ids_of: Mapping[_Scope, list[str]]) -> Area:
    if any(scope == "global" for scope, _ in scopes):
        return Area(is_everywhere=True)
    return Area(ids=tuple(sorted({id_ for scope in scopes for id_ in ids_of.get(scope, ())})))


def _freed(scopes: Sequence[_Scope], ids_of: Mapping[_Scope, list[str]]) -> Area:
    """Return what overrides free; where one is about a segment, any customer may have been in it."""
    may_be_anybody = any(scope == "segment" for scope, _ in scopes)
    return Area(is_everywhere=True) if may_be_anybody else _area(scopes, ids_of)


def _counts_all(policy: Document) -> bool:
    is_of_channel = any(scope == "channel" for scope, _ in _scopes(policy))
    return policy.body["ruleType"] == "cross_channel_cap" and is_of_channel


def _spares_mandatory(body: Mapping[str, Any]) -> bool:
    return body["ruleType"] == "customer_total_cap" and body["config"].get("bypassable") is not False


def _windows(config: Mapping[str, Any]) -> Iterator[_Window]:
    """Yield each number of a cap with its period or seconds."""
    for name, period in (("maxPerDay", "day"), ("maxPerWeek", "week"), ("maxPerMonth", "month")):
        if config.get(name) is not None:
            yield int(config[name]), period, None
    if config.get("maxTotal") is not None:
        hours = config.get("lookbackHours")
        yield int(config["maxTotal"]), None, None if hours is None else float(hours) * _HOUR_SECONDS
    if config.get("maxContacts") is not None:
        yield int(config["maxContacts"]), None, float(config["windowDays"]) * 24 * _HOUR_SECONDS
