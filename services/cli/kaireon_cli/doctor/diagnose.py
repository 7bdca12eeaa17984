"""All checks of one installation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import httpx

from kaireon_application.customers.interaction_store import StoreMissing
from kaireon_cli.doctor.bus import bus_check
from kaireon_cli.doctor.check import CannotRun, Check, Finding, Mask, State, examine, fail, ok, warn
from kaireon_cli.doctor.postgres import PostgresChecks
from kaireon_cli.doctor.redis import RedisChecks
from kaireon_cli.doctor.settings import DoctorSettings
from kaireon_storage.interactions.opening import ExtraMissing, opened_stores
from kaireon_storage.postgres.database import Database

_API_SECONDS = 4.0
_MOST_TOLD = 200


async def diagnose(settings: DoctorSettings, now: Callable[[], float]) -> list[Finding]:
    """Look at everything, and return what was found without secrets. `now` is this machine's clock."""
    database = Database(
        settings.postgres_url, max_connections=3, application_name="kaireon-doctor", pooler=settings.database_pooler
    )
    await database.open()
    try:
        redis = RedisChecks(settings=settings, now=now)
        found = await examine(
            (
                *PostgresChecks(settings=settings, database=database, now=now).all(),
                *redis.all(),
                bus_check(settings, redis),
                _store_check(settings),
                _api_check(settings),
            )
        )
    finally:
        await database.close()
    mask = Mask(settings.secrets())
    return [mask.finding(finding) for finding in found]


def is_well(findings: Sequence[Finding]) -> bool:
    """Whether nothing has failed."""
    return all(finding.state is not State.FAIL for finding in findings)


def _store_check(settings: DoctorSettings) -> Check:
    backends = settings.external_stores
    name = "interaction-store"

    async def look() -> Sequence[Finding]:
        if not backends:
            return [ok(name, "pg: the table is one of the migrations'")]
        hint = "; ".join(f"kaireon store ddl --backend {backend}" for backend in backends)
        try:
            async with opened_stores(settings, backends) as stores:
                await stores.require()
        except StoreMissing as error:
            return [fail(name, error.message.splitlines()[0], f"create what this prints: {hint}")]
        except ExtraMissing as error:
            raise CannotRun(f"{error.message}\npip install 'kaireon-cli[stores]'") from error
        return [ok(name, f"{', '.join(backends)}: the table is there")]

    return Check(name=name, look=look, next="start the store; until it answers, interactions are kept in Postgres")


def _api_check(settings: DoctorSettings) -> Check:
    async def look() -> Sequence[Finding]:
        url = settings.kaireon_api_url
        if url is None:
            raise CannotRun("KAIREON_API_URL is not set\nset it to where the API is, such as http://127.0.0.1:3000")
        async with httpx.AsyncClient(timeout=_API_SECONDS) as client:
            answer = await client.get(f"{url.rstrip('/')}/api/ready")
        if not answer.is_success:
            text = f"not ready: {answer.status_code} {answer.text[:_MOST_TOLD]}"
            return [fail("api", text, "see to what it names; its log says more")]
        lacking = [name for name, state in answer.json()["checks"].items() if state != State.OK]
        if lacking:
            return [warn("api", f"ready, but without {', '.join(lacking)}", "see to those; it decides meanwhile")]
        return [ok("api", "ready")]

    return Check(name="api", look=look, next="start the API, and see that KAIREON_API_URL names it")
