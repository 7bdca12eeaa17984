"""Which flow decides: the one asked for, the route's, the newest published one."""

from __future__ import annotations

from kaireon_application.decisioning.snapshot import FlowRoute, PublishedFlow, TenantSnapshot
from kaireon_application.errors import NotFound
from kaireon_core.decisioning.request import Routing


def choose_flow(snapshot: TenantSnapshot, flow_key: str | None, routing: Routing) -> PublishedFlow | None:
    """Return the flow for a request, None when the tenant has published none. Raises `NotFound` for an unknown key."""
    flows = snapshot.configuration.flows
    if flow_key is not None:
        found = next((flow for flow in flows if flow_key in (flow.key, flow.id)), None)
        if found is None:
            message = f"there is no published and active decision flow '{flow_key}'"
            raise NotFound.reference("$.decisionFlowKey", message)
        return found
    routed = _route(snapshot, routing)
    if routed is not None:
        return routed
    return max(flows, key=lambda flow: (flow.published_at, flow.key), default=None)


def _route(snapshot: TenantSnapshot, routing: Routing) -> PublishedFlow | None:
    """Return the flow of the most specific route: channel and placement, then channel, then the tenant's default."""
    routes = snapshot.configuration.routes
    if not routes:
        return None
    by_id = {flow.id: flow for flow in snapshot.configuration.flows}
    leading = [route for route in routes if route.decision_flow_id in by_id and _fits(snapshot, route, routing)]
    best = max(leading, key=_specificity, default=None)
    return None if best is None else by_id[best.decision_flow_id]


def _fits(snapshot: TenantSnapshot, route: FlowRoute, routing: Routing) -> bool:
    return _fits_channel(snapshot, route, routing) and _fits_placement(snapshot, route, routing)


def _fits_channel(snapshot: TenantSnapshot, route: FlowRoute, routing: Routing) -> bool:
    """Whether the request names the route's channel, by id or by type."""
    if route.channel_id is None:
        return True
    channel = snapshot.find("channels", route.channel_id)
    if channel is None or (routing.channel is None and routing.channel_id is None):
        return False
    is_type = routing.channel is None or routing.channel == channel.body.get("channelType")
    return is_type and (routing.channel_id is None or routing.channel_id in (channel.id, channel.key))


def _fits_placement(snapshot: TenantSnapshot, route: FlowRoute, routing: Routing) -> bool:
    """Whether the request names the route's placement, by key or else by slot type."""
    if route.placement_id is None:
        return True
    placement = snapshot.find("placements", route.placement_id)
    if placement is None or routing.placement is None:
        return False
    named = snapshot.find("placements", routing.placement)
    return named.id == placement.id if named else routing.placement == placement.body.get("slotType")


def _specificity(route: FlowRoute) -> tuple[bool, bool, int, str]:
    return (route.channel_id is not None, route.placement_id is not None, route.priority, route.decision_flow_id)
