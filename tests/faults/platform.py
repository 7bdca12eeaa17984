"""The platform as processes on servers of its own, all of them durable and all of them mortal."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from kaireon_storage.migrate import migrate
from kaireon_testkit.native.home import Home
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.postgres import prepare_postgres
from kaireon_testkit.native.spawn import Command
from kaireon_testkit.native.stack import session_home
from kaireon_testkit.native.valkey import prepare_valkey
from kaireon_testkit.platform.tenant import TEST_PEPPER, Tenant, create_tenant_at
from tests.faults.member import Member

SERVERS = ("postgres", "redis")
TIERS: Mapping[str, tuple[str, str, str]] = {
    # What it is started as, the variable of its port, and where it says that it serves.
    "api": ("kaireon_api", "API_PORT", "/api/ready"),
    "worker": ("kaireon_worker", "WORKER_METRICS_PORT", "/metrics"),
    "publisher": ("kaireon_outbox_publisher", "OUTBOX_HEALTH_PORT", "/ready"),
}


@dataclass(frozen=True, kw_only=True)
class Platform:
    """Its members by name, where its API is, and the tenant that asks it."""

    members: Mapping[str, Member]
    url: str
    environment: Mapping[str, str]
    redis_folder: Path
    tenant: Tenant

    @property
    def database_url(self) -> str:
        """The owner's URL."""
        return self.environment["DATABASE_URL"]

    def erase_redis(self) -> None:
        """Take away what a killed Redis has kept."""
        shutil.rmtree(self.redis_folder / "appendonlydir")

    def client(self) -> httpx.AsyncClient:
        """Return a client with an admin's key that waits longer than any answer may take."""
        headers = {"Authorization": f"Bearer {self.tenant.api_keys['admin']}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60)

    async def republish(self, since: str) -> None:
        """Make events pending again that were sent since then, as an operator does."""
        command = (sys.executable, "-m", "kaireon_cli", "outbox", "republish", "--since", since)
        await asyncio.to_thread(subprocess.run, command, env=self.environment, check=True, timeout=120)


@asynccontextmanager
async def running_platform(clone: Path, logs: Path) -> AsyncGenerator[Platform]:
    """Start everything on empty servers and make a tenant; end and erase it after."""
    with session_home(clone, is_durable=True) as session:
        folder = session.folder / "faults"
        folder.mkdir(mode=0o711)
        members: dict[str, Member] = {}
        try:
            yield await _started(members, msgspec.structs.replace(session, folder=folder), logs)
        finally:
            for member in reversed(members.values()):
                member.stop()
            shutil.rmtree(folder)


async def _started(members: dict[str, Member], home: Home, logs: Path) -> Platform:
    postgres, redis = prepare_postgres(home, free_port()), prepare_valkey(home, free_port())
    # What Redis has acknowledged survives its end, as with a server of a deployment that minds its stream.
    durably = msgspec.structs.replace(redis.command(), argv=(*redis.command().argv, "--appendfsync", "always"))
    members["postgres"] = Member(postgres.command(), postgres.is_answering, logs / "postgres")
    members["redis"] = Member(durably, redis.is_answering, logs / "redis")
    for name in SERVERS:
        members[name].start()
        await members[name].until_answering()
    postgres.create_database()
    await asyncio.to_thread(migrate, postgres.url)
    tenant = await create_tenant_at(postgres.url)
    environment = {
        **os.environ,
        "DATABASE_URL": postgres.url,
        "DATABASE_DIRECT_URL": postgres.url,
        "REDIS_URL": redis.url,
        "API_KEY_PEPPER": TEST_PEPPER,
        "WORKER_INPROCESS": "0",
    }
    ports = {name: free_port() for name in TIERS}
    for name, (module, variable, path) in TIERS.items():
        command = Command(argv=(sys.executable, "-m", module), environment={**environment, variable: str(ports[name])})
        members[name] = Member(command, _answers(f"http://127.0.0.1:{ports[name]}{path}"), logs / name)
        members[name].start()
    for name in TIERS:
        await members[name].until_answering()
    return Platform(
        members=members,
        url=f"http://127.0.0.1:{ports['api']}",
        environment=environment,
        redis_folder=redis.folder,
        tenant=tenant,
    )


def _answers(url: str) -> Callable[[], bool]:
    def is_answering() -> bool:
        try:
            return httpx.get(url, timeout=10).is_success
        except httpx.TransportError:
            return False

    return is_answering
