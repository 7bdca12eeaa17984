"""Holding each tenant's snapshot: loaded when first asked for, swapped when the tenant's configuration changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import Protocol

from kaireon_application.compression import zstd
from kaireon_application.decisioning.snapshot import Configuration, LiveFlow, TenantSnapshot, build_snapshot
from kaireon_application.errors import Unavailable
from kaireon_runtime.catalogue import SNAPSHOT_AGE, UNEXPECTED_ERRORS
from kaireon_runtime.logs import logger
from kaireon_runtime.metrics import Metrics

POLL_SECONDS = 0.25


class ConfigurationSource(Protocol):
    """Reads what tenants configured. Every method raises `Unavailable` while Postgres cannot be reached."""

    async def tenants(self) -> list[str]:
        """Return the ids of all tenants."""
        ...

    async def load(self, tenant_id: str) -> Configuration:
        """Return everything of one tenant, at one instant."""
        ...

    async def versions(self, tenant_ids: Collection[str]) -> dict[str, int]:
        """Return the current `config_version` of these tenants."""
        ...

    async def store(self, tenant_id: str, hash_: bytes, kind: str, content: bytes) -> None:
        """Keep content-addressed bytes (`snapshot` or `legend`) for traces to refer to; again is no change."""
        ...


class Snapshots:
    """The snapshots of one process."""

    def __init__(self, source: ConfigurationSource, metrics: Metrics, poll_seconds: float = POLL_SECONDS) -> None:
        """Poll for changes every `poll_seconds` once `watch` runs."""
        self._source = source
        self._metrics = metrics
        self._is_loaded = False
        self._poll_seconds = poll_seconds
        self._current: dict[str, TenantSnapshot] = {}
        self._stale: set[str] = set()
        self._loading: dict[str, asyncio.Task[TenantSnapshot]] = {}

    async def current(self, tenant_id: str) -> TenantSnapshot:
        """Return the tenant's snapshot; one that is known to be stale is loaded again first.

        A stale one is better than none: it serves on while Postgres cannot be reached.
        """
        snapshot = self._current.get(tenant_id)
        if snapshot is not None and tenant_id not in self._stale and not self._is_loading(tenant_id):
            return snapshot
        try:
            return await self._load(tenant_id)
        except Unavailable:
            if snapshot is None:
                raise
            return snapshot

    async def load_all(self) -> None:
        """Load every tenant and compile its flows, so that nobody's first decision waits for it."""
        for tenant_id in await self._source.tenants():
            snapshot = await self.current(tenant_id)
            for flow in snapshot.configuration.flows:
                await asyncio.to_thread(snapshot.live, flow)
        self._is_loaded = True

    async def require_loaded(self) -> None:
        """Raise `Unavailable` until every tenant's snapshot has been loaded once since the process started."""
        if not self._is_loaded:
            message = "the tenants' snapshots are being loaded"
            raise Unavailable(message)

    def invalidate(self, tenant_id: str) -> None:
        """Have the tenant's snapshot loaded anew before its next decision."""
        self._stale.add(tenant_id)

    async def ensure_stored(self, snapshot: TenantSnapshot, live: LiveFlow) -> None:
        """Store what traces of this flow will refer to, once per process."""
        tenant_id = snapshot.configuration.tenant_id
        if not snapshot.is_stored:
            content = await asyncio.to_thread(zstd.compress, snapshot.content, 1)
            await self._source.store(tenant_id, snapshot.hash, "snapshot", content)
            snapshot.is_stored = True
        if not live.is_stored:
            await self._source.store(tenant_id, live.legend_hash, "legend", live.legend)
            live.is_stored = True

    async def watch(self) -> None:
        """Load every tenant, then look for changed configurations, until cancelled.

        A Postgres that is away is looked for again. Nothing else may end this loop either: without it the process would
        decide from old configurations for ever.
        """
        log = logger("kaireon.snapshots")
        known_at = time.monotonic()
        while True:
            try:
                await (self.look() if self._is_loaded else self.load_all())
                known_at = time.monotonic()
            except Unavailable:
                log.debug("cannot look for changed configurations: Postgres is away")
            except Exception:  # the outermost loop of this task: counted and logged
                self._metrics.add(UNEXPECTED_ERRORS, "api")
                log.exception("cannot load a configuration")
            self._metrics.set(SNAPSHOT_AGE, time.monotonic() - known_at)
            await asyncio.sleep(self._poll_seconds)

    async def look(self) -> None:
        """Have what was configured since loaded before the next decision. Raises `Unavailable`."""
        if not self._current:
            return
        versions = await self._source.versions(list(self._current))
        for tenant_id, snapshot in list(self._current.items()):
            if versions.get(tenant_id) != snapshot.configuration.config_version:
                self.invalidate(tenant_id)

    async def _load(self, tenant_id: str) -> TenantSnapshot:
        """Load once for all who wait. A load that began before the tenant became stale again is not enough."""
        if self._is_loading(tenant_id):
            snapshot = await asyncio.shield(self._loading[tenant_id])
            if tenant_id not in self._stale:
                return snapshot
        if not self._is_loading(tenant_id):
            self._stale.discard(tenant_id)
            self._loading[tenant_id] = asyncio.create_task(self._replace(tenant_id))
        try:
            return await asyncio.shield(self._loading[tenant_id])
        except Unavailable:
            self._stale.add(tenant_id)
            raise

    def _is_loading(self, tenant_id: str) -> bool:
        task = self._loading.get(tenant_id)
        return task is not None and not task.done()

    async def _replace(self, tenant_id: str) -> TenantSnapshot:
        configuration = await self._source.load(tenant_id)
        before = self._current.get(tenant_id)
        if before is not None and before.configuration.config_version == configuration.config_version:
            return before
        snapshot = await asyncio.to_thread(build_snapshot, configuration)
        self._current[tenant_id] = snapshot
        return snapshot
