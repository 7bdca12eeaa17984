"""Planning: which flow decides, with everything that traces of it will refer to stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kaireon_application.decisioning.choose_flow import choose_flow
from kaireon_application.decisioning.snapshot import LiveFlow, TenantSnapshot
from kaireon_application.decisioning.snapshots import Snapshots
from kaireon_application.errors import NotFound
from kaireon_core.decisioning.request import Routing


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDecision:
    """The first of a decision's four steps; one per process."""

    snapshots: Snapshots
    # Publishes the base flow for a tenant that has none.
    ensure_flow: Callable[[str], Awaitable[object]]

    async def __call__(self, tenant_id: str, flow_key: str | None, routing: Routing) -> tuple[TenantSnapshot, LiveFlow]:
        """Return the flow that decides, now. Raises `NotFound` for an unknown key, or when no flow is active."""
        snapshot, live = await self._choose(tenant_id, flow_key, routing)
        for form in snapshot.forms(live):
            if not (form.is_stored and snapshot.is_stored):
                await self.snapshots.ensure_stored(snapshot, form)
        return snapshot, live

    async def _choose(self, tenant_id: str, flow_key: str | None, routing: Routing) -> tuple[TenantSnapshot, LiveFlow]:
        snapshot = await self.snapshots.current(tenant_id)
        chosen = choose_flow(snapshot, flow_key, routing)
        if chosen is None:
            await self.ensure_flow(tenant_id)
            self.snapshots.invalidate(tenant_id)
            snapshot = await self.snapshots.current(tenant_id)
            chosen = choose_flow(snapshot, flow_key, routing)
        if chosen is None:
            # The base flow exists, but it was archived or paused, and so was every other one.
            message = "no decision flow is active: publish one, or set the status of one to active"
            raise NotFound(message)
        return snapshot, snapshot.live(chosen)
