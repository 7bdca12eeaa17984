"""Every tier through PgBouncer in transaction mode: few sessions, lent for one transaction each."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pytest

from kaireon_application.platform.event_schemas import DECISION_MADE, INTERACTION_RECORDED
from kaireon_runtime.settings import Pooler as Mode
from kaireon_storage.migrate import migrate
from kaireon_storage.postgres.database import Database
from kaireon_testkit.native.clones import cloned_database, url_of_database
from kaireon_testkit.native.debian import NoProgram
from kaireon_testkit.native.pgbouncer import Pooler, running_pgbouncer
from tests.api.conftest import api, app, eventually, settings, shop, start_worker
from tests.api.test_runs import lines, start, until_over
from tests.outbox_publisher.conftest import read_stream, start_publisher, stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kaireon_testkit.native.stack import Stack
    from kaireon_testkit.platform.tenant import Tenant
    from tests.api.conftest import Eventually, StartWorker
    from tests.api.shop import Shop
    from tests.outbox_publisher.conftest import StartPublisher, StreamReader

__all__ = ["api", "app", "eventually", "read_stream", "settings", "shop", "start_publisher", "start_worker", "stream"]

pytestmark = pytest.mark.backends
# Fewer than any tier asks for.
SESSIONS = 4
WEB = {"channel": "web"}


@pytest.fixture(scope="module")
def pooler(clone: Path, stack: Stack) -> Iterator[Pooler]:
    try:
        with running_pgbouncer(clone, stack.postgres_url, pool_size=SESSIONS) as running:
            yield running
    except NoProgram as error:
        pytest.skip(str(error))


@pytest.fixture
def direct_url(template_url: str) -> Iterator[str]:
    with cloned_database(template_url) as url:
        yield url


@pytest.fixture
def database_url(direct_url: str, pooler: Pooler) -> str:
    """What every tier of these tests is given."""
    return pooler.url_of(direct_url)


def sessions(direct_url: str) -> int:
    """Return how many sessions of the product's database there are."""
    with psycopg.connect(url_of_database(direct_url, "postgres")) as connection:
        name = urlsplit(direct_url).path.lstrip("/")
        row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (name,)).fetchone()
    assert row is not None
    return int(row[0])


async def test_decisions_responses_and_runs_share_few_sessions(
    shop: Shop, direct_url: str, start_worker: StartWorker, eventually: Eventually
) -> None:
    start_worker()
    run = await start(shop, customerIds=[f"b{number}" for number in range(300)], channel="web", **{"async": True})
    made = await asyncio.gather(*(shop.recommend(f"c{number % 20}", **WEB) for number in range(100)))
    assert {len(decision["decisions"]) for decision in made} == {3}
    answered = await asyncio.gather(
        *(
            shop.respond(
                f"k{place}", customerId=f"c{place % 20}", recommendationId=decision["recommendationId"], rank=1
            )
            for place, decision in enumerate(made)
        )
    )
    assert {answer.status_code for answer in answered} == {201}
    assert (await until_over(shop, run, eventually))["status"] == "completed"
    assert len(await lines(shop, run)) == 300

    assert sessions(direct_url) <= SESSIONS
    counted = await shop.counts()
    assert (counted["decision_traces"], counted["interactions"]) == (400, 4 * 300 + 100)


async def test_events_are_relayed(
    shop: Shop, start_publisher: StartPublisher, stream: StreamReader, eventually: Eventually
) -> None:
    start_publisher()
    made = await shop.recommend(**WEB)
    await shop.respond("k", recommendationId=made["recommendationId"], rank=1)

    async def all_came() -> bool:
        return len(stream.ids()) == 5

    await eventually(all_came)
    assert set(await types(shop)) == {DECISION_MADE, INTERACTION_RECORDED}


async def types(shop: Shop) -> list[str]:
    rows = await shop.rows("SELECT type FROM outbox_events WHERE tenant_id = %(tenant_id)s AND status = 'sent'")
    return [row["type"] for row in rows]


async def test_a_schema_is_brought_up_to_date(stack: Stack, pooler: Pooler) -> None:
    name = f"test_{secrets.token_hex(8)}"
    with psycopg.connect(stack.postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            url = pooler.url_of(url_of_database(stack.postgres_url, name))
            applied = await asyncio.gather(*(asyncio.to_thread(migrate, url) for _ in range(2)))
            assert min(map(len, applied)) == 0
            assert max(map(len, applied)) > 10
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.TRANSACTION])
async def test_limits_hold_in_each_transaction_and_stay_in_none(
    database_url: str, direct_url: str, tenant: Tenant, mode: Mode
) -> None:
    database = Database(database_url, pooler=mode)
    await database.open()
    shown = "SELECT current_setting('statement_timeout') AS s, current_setting('lock_timeout') AS l"
    try:
        async with database.transaction(tenant.tenant_id) as connection:
            assert connection.prepare_threshold is None
            row: Any = await (await connection.execute(shown)).fetchone()
        assert (row["s"], row["l"]) == ("15s", "3500ms")
        (result,) = await database.round_trip(tenant.tenant_id, [(shown.encode(), [])])
        assert result.get_value(0, 0) == b"15s"
        ((again,),) = await database.together(tenant.tenant_id, [(shown, {})])
        assert again["s"] == "15s"
    finally:
        await database.close()
    with psycopg.connect(database_url, prepare_threshold=None) as connection:
        for _ in range(SESSIONS):
            assert connection.execute(shown.encode()).fetchone() == ("0", "0")


async def test_a_direct_way_is_known_and_keeps_its_statements(direct_url: str, tenant: Tenant) -> None:
    database = Database(direct_url)
    await database.open()
    try:
        async with database.transaction(tenant.tenant_id) as connection:
            assert connection.prepare_threshold is not None
            row: Any = await (await connection.execute("SHOW statement_timeout")).fetchone()
        assert row["statement_timeout"] == "15s"
    finally:
        await database.close()
