"""The steps from nothing to a stack that has answered its first decision."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
from pydantic import SecretStr

from kaireon_cli.api_client import ApiClient, ApiUnreachable
from kaireon_cli.clone import Clone
from kaireon_cli.run.demo_tenant import DemoTenant, ensure_demo_tenant
from kaireon_cli.run.fleet import Fleet
from kaireon_cli.run.private_servers import (
    PrivatePostgres,
    PrivateServer,
    private_postgres,
    private_valkey,
    wait_until_answering,
)
from kaireon_cli.run.sample import curl_line, decide_sample, seed_sample, train_sample
from kaireon_cli.run.screen import Screen
from kaireon_cli.run.tiers import (
    API,
    ML_WORKER,
    TIERS,
    Wiring,
    api_address,
    ml_worker_address,
    tier_command,
    tier_environment,
)
from kaireon_cli.settings import RunSettings
from kaireon_storage.migrate import migrate
from kaireon_testkit.native.secret_file import read_or_create_secret

_SERVER_SECONDS = 60.0
_READY_SECONDS = 120.0
_POLL_SECONDS = 0.1
_OK = 200


class StartFailed(Exception):
    """The stack cannot be started; the message says why in one line. `exit_code` 2: because of its settings."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """What others need to know about a stack that is ready."""

    tenant: DemoTenant
    owner_url: str
    redis_url: str
    curl: str


class Backing(msgspec.Struct, frozen=True, kw_only=True):
    """The databases: whom migrations and people connect as, and whom the tiers do."""

    owner_url: str
    migration_url: str
    tier_url: str
    tier_direct_url: str | None
    redis_url: str
    postgres: PrivatePostgres | None


async def start_stack(
    clone: Clone, settings: RunSettings, environment: Mapping[str, str], fleet: Fleet, screen: Screen
) -> Started:
    """Start everything, in order, and return once a decision has been answered.

    Raises `StartFailed`, and whatever the pieces raise, each in one line.
    """
    backing = await _start_servers(clone, settings, fleet, screen)
    screen.step("migrating the database")
    await asyncio.to_thread(_migrate, backing)
    secrets = clone.secrets
    secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
    wiring = _wiring(settings, backing, secrets)
    tenant = await ensure_demo_tenant(backing.tier_url, wiring.api_key_pepper, secrets)
    await _start_tiers(clone, settings, tier_environment(environment, settings, wiring), fleet, screen)
    api = ApiClient(api_address(settings), tenant.api_keys["admin"])
    await _wait_until_ready(api, ApiClient(ml_worker_address(settings)), fleet, screen)
    if await seed_sample(api, screen):
        screen.done("the sample data is seeded")
    if await train_sample(api, screen):
        screen.done("the redemption model is trained")
    screen.step("asking for a first decision")
    decision = await decide_sample(api)
    return Started(
        tenant=tenant,
        owner_url=backing.owner_url,
        redis_url=backing.redis_url,
        curl=curl_line(api_address(settings), tenant.api_keys["admin"], decision),
    )


async def _start_servers(clone: Clone, settings: RunSettings, fleet: Fleet, screen: Screen) -> Backing:
    postgres, redis_url = None, settings.redis_url
    servers: list[PrivateServer] = []
    if settings.database_url is None:
        screen.step("preparing a private Postgres")
        postgres = await asyncio.to_thread(private_postgres, clone)
        servers.append(postgres.supervised())
    if redis_url is None:
        valkey, server = await asyncio.to_thread(private_valkey, clone)
        redis_url = valkey.url
        servers.append(server)
    for server in servers:
        screen.step(f"starting the private {server.name}")
        await fleet.start(server.service, server.name, server.command, force_signal=server.force_signal)
    await asyncio.gather(*(wait_until_answering(server, seconds=_SERVER_SECONDS) for server in servers))
    if postgres is not None:
        return Backing(
            owner_url=postgres.server.url,
            migration_url=postgres.server.url,
            tier_url=postgres.tier_url,
            tier_direct_url=postgres.tier_url,
            redis_url=redis_url,
            postgres=postgres,
        )
    given = settings.database_url or ""
    return Backing(
        owner_url=given,
        migration_url=settings.database_direct_url or given,
        tier_url=given,
        tier_direct_url=settings.database_direct_url,
        redis_url=redis_url,
        postgres=None,
    )


def _migrate(backing: Backing) -> None:
    if backing.postgres is not None:
        backing.postgres.server.create_database()
    migrate(backing.migration_url)
    if backing.postgres is not None:
        backing.postgres.create_login()


def _wiring(settings: RunSettings, backing: Backing, secrets: Path) -> Wiring:
    def secret(given: SecretStr | None, name: str) -> str:
        return read_or_create_secret(secrets / name) if given is None else given.get_secret_value()

    return Wiring(
        database_url=backing.tier_url,
        database_direct_url=backing.tier_direct_url,
        redis_url=backing.redis_url,
        api_key_pepper=secret(settings.api_key_pepper, "api-key-pepper"),
        cron_secret=secret(settings.cron_secret, "cron-secret"),
        webhook_signing_secret=secret(settings.webhook_signing_secret, "webhook-signing-secret"),
        supervisor_pid=os.getpid(),
    )


async def _start_tiers(
    clone: Clone, settings: RunSettings, environment: Mapping[str, str], fleet: Fleet, screen: Screen
) -> None:
    screen.step("starting the tiers: " + ", ".join(tier.name for tier in TIERS))
    urls = {API.service: api_address(settings), ML_WORKER.service: ml_worker_address(settings)}
    for tier in TIERS:
        command = tier_command(tier, environment, str(clone.root))
        await fleet.start(tier.service, tier.name, command, url=urls.get(tier.service))


async def _wait_until_ready(api: ApiClient, ml_worker: ApiClient, fleet: Fleet, screen: Screen) -> None:
    screen.step("waiting for the API and the ML worker")
    deadline = time.monotonic() + _READY_SECONDS
    for name, client, path in (("API", api, "/api/ready"), ("ML worker", ml_worker, "/health")):
        while not await _answers(client, path):
            refusing = fleet.refusing_settings()
            if refusing is not None:
                raise StartFailed(f"{refusing} refuses its settings; see its lines above", exit_code=2)
            if time.monotonic() > deadline:
                raise StartFailed(f"the {name} is not ready after {_READY_SECONDS:g} s; see its lines above")
            await asyncio.sleep(_POLL_SECONDS)


async def _answers(client: ApiClient, path: str) -> bool:
    try:
        return (await client.call("GET", path)).status == _OK
    except ApiUnreachable:
        return False
