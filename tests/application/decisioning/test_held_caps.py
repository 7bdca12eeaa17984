"""Which caps bind which answers: the terms of policies, nodes and overrides, told once more."""

from __future__ import annotations

from typing import Any

import pytest

from kaireon_application.decisioning.held_caps import Area, HeldCap, Place, held_caps
from kaireon_core.catalog.document import Document
from kaireon_core.decisioning.flow import Flow
from kaireon_core.decisioning.parse_flow import FlowKind, parse_flow

PLACES = [
    Place(kind="offer", id="o1", key="gold", category_id="k1", sub_category_id="s1"),
    Place(kind="offer", id="o2", key="silver", category_id="k1"),
    Place(kind="offer", id="o3", key="bronze"),
    Place(kind="creative", id="c1", key="gold-web", placement_id="p1"),
    Place(kind="channel", id="h1", key="web"),
    # An offer may have the key of a channel.
    Place(kind="offer", id="o4", key="web"),
]
EVERYWHERE, NOWHERE = Area(is_everywhere=True), Area()
NODE: dict[str, Any] = {"id": "caps", "type": "contact_policy"}


def policy(rule_type: str, config: dict[str, Any], status: str = "active", **body: Any) -> Document:
    given = {"ruleType": rule_type, "config": config, "scope": "global", **body}
    return Document(id=f"id of {rule_type}", key=rule_type, name=rule_type, status=status, body=given)


def flow(*nodes: dict[str, Any]) -> Flow:
    ends = [{"id": "start", "type": "inventory"}, *nodes, {"id": "end", "type": "response"}]
    return parse_flow({"version": 2, "nodes": ends}, FlowKind.DRAFT)


def caps_of(*policies: Document, flows: dict[str, Flow] | None = None) -> list[HeldCap]:
    return held_caps(policies, {"f": flow(NODE)} if flows is None else flows, PLACES)


@pytest.mark.parametrize(
    ("scopes", "ids"),
    [
        ([("offer", "o1")], ("o1",)),
        ([("offer", "gold"), ("offer", "bronze")], ("o1", "o3")),
        ([("category", "k1")], ("o1", "o2")),
        ([("subcategory", "s1"), ("placement", "p1")], ("c1", "o1")),
        ([("creative", "gold-web"), ("channel", "web")], ("c1", "h1")),
        ([("segment", "vip"), ("offer", "o2")], ("o2",)),
        ([("segment", "vip")], ()),
        ([("offer", "nobody's"), ("category", "None")], ()),
    ],
)
def test_a_cap_binds_what_its_scopes_hold(scopes: list[tuple[str, str]], ids: tuple[str, ...]) -> None:
    given = [{"scope": scope, "scopeId": id_} for scope, id_ in scopes]
    [cap] = caps_of(policy("frequency_cap", {"maxPerDay": 1}, scopes=given))
    assert cap.bound == cap.counted == Area(ids=ids)


def test_a_single_scope_is_one_of_these() -> None:
    [cap] = caps_of(policy("frequency_cap", {"maxPerDay": 1}, scope="offer", scopeId="o1", scopes=[]))
    assert cap.bound == Area(ids=("o1",))
    [cap] = caps_of(policy("frequency_cap", {"maxPerDay": 1}, scope="global", scopeId=None, scopes=[]))
    assert cap.bound == EVERYWHERE


def test_every_number_of_a_cap_has_its_window() -> None:
    config = {
        "maxPerDay": 1,
        "maxPerWeek": 2,
        "maxPerMonth": 3,
        "maxTotal": 4,
        "lookbackHours": 36,
        "maxContacts": 5,
        "windowDays": 7,
    }
    caps = caps_of(policy("frequency_cap", config), policy("customer_total_cap", {"maxTotal": 6}))

    assert [(cap.maximum, cap.period, cap.seconds, cap.days_back) for cap in caps] == [
        (1, "day", None, 2),
        (2, "week", None, 8),
        (3, "month", None, 32),
        (4, None, 36 * 3600, 1.5),
        (5, None, 7 * 86_400, 7),
        (6, None, None, None),
    ]
    assert [cap.number for cap in caps] == list(range(6))


@pytest.mark.parametrize(
    ("rule_type", "config", "scope", "counted", "spares_mandatory", "is_per_offer"),
    [
        ("frequency_cap", {}, {"scope": "channel", "scopeId": "h1"}, Area(ids=("h1",)), False, False),
        ("frequency_cap", {"perOffer": True}, {}, EVERYWHERE, False, True),
        ("cross_channel_cap", {}, {"scope": "channel", "scopeId": "h1"}, EVERYWHERE, False, False),
        ("cross_channel_cap", {}, {"scope": "offer", "scopeId": "o1"}, Area(ids=("o1",)), False, False),
        ("customer_total_cap", {}, {"scope": "offer", "scopeId": "o1"}, EVERYWHERE, True, False),
        ("customer_total_cap", {"bypassable": True}, {}, EVERYWHERE, True, False),
        ("customer_total_cap", {"bypassable": False}, {}, EVERYWHERE, False, False),
    ],
)
def test_types_differ_in_what_they_count_and_spare(
    rule_type: str,
    config: dict[str, Any],
    scope: dict[str, Any],
    counted: Area,
    spares_mandatory: bool,
    is_per_offer: bool,
) -> None:
    [cap] = caps_of(policy(rule_type, {"maxTotal": 1, **config}, **scope))
    assert (cap.counted, cap.spares_mandatory, cap.is_per_offer) == (counted, spares_mandatory, is_per_offer)


def test_other_policies_and_those_that_do_not_hold_are_no_caps() -> None:
    assert caps_of(policy("cooldown", {"cooldownHours": 1}), policy("frequency_cap", {"maxTotal": 1}, "paused")) == []


def test_a_cap_binds_the_flows_that_have_it_whoever_the_candidate_is() -> None:
    selected = {**NODE, "config": {"mode": "selected", "policyIds": ["customer_total_cap"]}}
    by_id = {**NODE, "config": {"mode": "selected", "policyIds": ["id of customer_total_cap"]}}
    branch = {"id": "if", "type": "conditional", "config": {"then": [NODE]}}
    flows = {
        "all": flow(NODE),
        "selected": flow(selected),
        "by id": flow(by_id),
        "in a branch": flow(branch),
        "none": flow(),
    }

    found = caps_of(
        policy("frequency_cap", {"maxTotal": 1}), policy("customer_total_cap", {"maxTotal": 2}), flows=flows
    )

    assert {cap.rule_type: cap.flow_ids for cap in found} == {
        "frequency_cap": ("all",),
        "customer_total_cap": ("all", "selected", "by id"),
    }


def test_an_override_frees_from_the_caps_beside_it() -> None:
    both = {**NODE, "config": {"mode": "selected", "policyIds": ["frequency_cap", "allow_override"]}}
    alone = {**NODE, "config": {"mode": "selected", "policyIds": ["frequency_cap"]}}
    cap = policy("frequency_cap", {"maxTotal": 1})
    gold = policy("allow_override", {}, scope="offer", scopeId="gold")
    vip = policy("allow_override", {}, scope="segment", scopeId="vip")

    freed = [one.freed for one in caps_of(cap, gold, flows={"both": flow(both), "alone": flow(alone)})]

    assert freed == [Area(ids=("o1",)), NOWHERE]
    assert [one.freed for one in caps_of(cap, vip)] == [EVERYWHERE], "anybody may have been in the segment"
