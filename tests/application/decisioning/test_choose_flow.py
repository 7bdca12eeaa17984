"""Which flow decides, without HTTP: ties and gaps."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from kaireon_application.decisioning.choose_flow import choose_flow
from kaireon_application.decisioning.snapshot import (
    Configuration,
    DecisionSettings,
    FlowRoute,
    PublishedFlow,
    TenantSnapshot,
)
from kaireon_application.errors import NotFound
from kaireon_core.catalog.document import Catalogue, Document
from kaireon_core.decisioning.flow import Flow
from kaireon_core.decisioning.request import Routing

ANYWHERE = Routing()
CATALOGUE = Catalogue(
    channels=(
        Document(id="c1", key="web", name="Web", status="active", body={"channelType": "web"}),
        Document(id="c2", key="shop", name="Shop", status="active", body={"channelType": "web"}),
    ),
    placements=(
        Document(id="p1", key="hero", name="Hero", status="active", body={"slotType": "banner"}),
        Document(id="p2", key="banner", name="Banner", status="active", body={"slotType": "footer"}),
    ),
)


def flow(key: str, day: int = 1) -> PublishedFlow:
    at = f"2026-01-{day:02}T00:00:00+00:00"
    return PublishedFlow(id=f"id-{key}", key=key, name=key, status="active", version=1, flow=Flow(), published_at=at)


def snapshot(*routes: FlowRoute, flows: tuple[PublishedFlow, ...]) -> TenantSnapshot:
    configuration = Configuration(
        tenant_id="t",
        config_version=1,
        settings=DecisionSettings(),
        catalogue=CATALOGUE,
        outcome_types=(),
        flows=flows,
        routes=routes,
        model_origins={},
        models={},
        schema_tables={},
    )
    return TenantSnapshot(configuration=configuration, content=b"", hash=b"", zone=ZoneInfo("UTC"), outcome_types={})


def chosen(found: TenantSnapshot, routing: Routing = ANYWHERE, key: str | None = None) -> str | None:
    flow = choose_flow(found, key, routing)
    return None if flow is None else flow.key


def test_the_newest_publication_decides_and_ties_go_by_key() -> None:
    assert chosen(snapshot(flows=())) is None
    assert chosen(snapshot(flows=(flow("a", 3), flow("b", 2)))) == "a"
    assert chosen(snapshot(flows=(flow("a"), flow("b")))) == chosen(snapshot(flows=(flow("b"), flow("a")))) == "b"


def test_a_named_flow_decides_whatever_the_routes_say() -> None:
    found = snapshot(FlowRoute(decision_flow_id="id-a"), flows=(flow("a"), flow("b")))

    assert [chosen(found, key=key) for key in ("b", "id-b", None)] == ["b", "b", "a"]
    with pytest.raises(NotFound):
        choose_flow(found, "c", ANYWHERE)


# What is asked for, and whether a route for channel c1 or for placement p1 fits.
FITS: tuple[tuple[Routing, bool, bool], ...] = (
    (Routing(), False, False),
    (Routing(channel="web"), True, False),
    (Routing(channel="email"), False, False),
    (Routing(channel_id="c1"), True, False),
    (Routing(channel_id="web"), True, False),
    (Routing(channel_id="c2"), False, False),
    (Routing(channel="web", channel_id="c1"), True, False),
    (Routing(channel="email", channel_id="c1"), False, False),
    (Routing(placement="hero"), False, True),
    # A key comes before a slot type: `banner` is the key of the other placement.
    (Routing(placement="banner"), False, False),
    (Routing(placement="p1"), False, True),
)


@pytest.mark.parametrize(("routing", "is_channel", "is_placement"), FITS)
def test_a_route_fits_what_the_request_names(routing: Routing, is_channel: bool, is_placement: bool) -> None:
    flows = (flow("a"), flow("newest", 2))
    by_channel = snapshot(FlowRoute(decision_flow_id="id-a", channel_id="c1"), flows=flows)
    by_placement = snapshot(FlowRoute(decision_flow_id="id-a", placement_id="p1"), flows=flows)

    assert chosen(by_channel, routing) == ("a" if is_channel else "newest")
    assert chosen(by_placement, routing) == ("a" if is_placement else "newest")


def test_specificity_comes_before_priority() -> None:
    routes = (
        FlowRoute(decision_flow_id="id-any", priority=9),
        FlowRoute(decision_flow_id="id-low", channel_id="c1", priority=1),
        FlowRoute(decision_flow_id="id-high", channel_id="c1", priority=2),
        FlowRoute(decision_flow_id="id-placed", channel_id="c1", placement_id="p1"),
        FlowRoute(decision_flow_id="id-gone", channel_id="c1", placement_id="p1", priority=9),
    )
    found = snapshot(*routes, flows=tuple(flow(key) for key in ("any", "low", "high", "placed")))

    assert chosen(found, Routing(channel="web", placement="hero")) == "placed"
    assert chosen(found, Routing(channel="web")) == "high"
    assert chosen(found, Routing(channel="email")) == "any"
