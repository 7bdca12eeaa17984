"""The chain of the audit log: whoever changes, removes or slips in a row is found out."""

from __future__ import annotations

import asyncio
import hashlib
import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
import pytest

from tests.api.conftest import client_of
from tests.api.test_audit_logs import EXPORT, logs, verified

if TYPE_CHECKING:
    import httpx

    from kaireon_storage.postgres.database import Database
    from tests.api.conftest import Clients
    from tests.api.shop import Shop


def as_superuser(url: str, sql: LiteralString, **parameters: object) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql, parameters)


async def test_anybody_can_compute_the_chain_from_the_answers(shop: Shop) -> None:
    awkward = {
        "big": 1e20,
        "small": 1e-7,
        "third": 1 / 3,
        "whole": 2.0,
        "text": 'Grüße "\\ \u2028 \U0001f600',
        "n": None,
    }
    await shop.create("offers", name="Käse", key="odd", customFields=awkward)
    rows = [row for page in (2, 1) for row in reversed(await logs(shop.api.admin, page=page, limit=20))]
    for row in rows:
        told = {name: value for name, value in row.items() if name != "integrityHash"}
        text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(text.encode()).hexdigest() == row["integrityHash"]
    for earlier, later in pairwise(rows):
        assert later["prevHash"] == earlier["integrityHash"]


async def test_the_application_cannot_change_or_remove_a_row(shop: Shop, database: Database) -> None:
    statements: tuple[LiteralString, ...] = (
        "UPDATE audit_logs SET action = 'none'",
        "DELETE FROM audit_logs",
        "TRUNCATE audit_logs",
        "DELETE FROM audit_heads",
    )
    for statement in statements:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with database.transaction(shop.tenant_id) as connection:
                await connection.execute(statement)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await shop.run(statement)


@pytest.mark.parametrize(
    "change",
    [
        "entity_name = 'Golden'",
        "user_id = 'somebody'",
        """after = '{"name": "Gold", "priority": 1}'""",
        "logged_at = logged_at - interval '1 day'",
        "changes = '{}'",
        "request_id = null",
        "integrity_hash = repeat('a', 64)",
        "prev_hash = repeat('a', 64)",
    ],
)
async def test_a_row_that_was_tampered_with_is_named(shop: Shop, database_url: str, change: LiteralString) -> None:
    await shop.api.admin.put("/api/v1/offers/gold", json={"priority": 80}, headers={"X-Request-Id": "r"})
    await shop.create("offers", name="Later", key="later")
    victim = (await logs(shop.api.admin, action="update"))[0]
    tampering: LiteralString = f"UPDATE audit_logs SET {change} WHERE id = %(id)s"  # noqa: S608 - of the list above
    as_superuser(database_url, tampering, id=victim["id"])
    report = await verified(shop.api.admin)
    assert (report["intact"], report["brokenAtId"], report["brokenReason"]) == (False, victim["id"], "hash_mismatch")
    assert report["scanned"] == report["verified"] + 1 == victim["sequence"]
    exported = (await shop.api.admin.post(EXPORT, json={"action": "verify_integrity"})).json()
    assert exported == {"verified": False, "recordsChecked": report["scanned"], "chainIntact": False}


async def test_a_row_that_was_written_anew_breaks_the_link_of_the_next(shop: Shop, database_url: str) -> None:
    newest, forged = (await logs(shop.api.admin))[:2]
    told = {name: value for name, value in forged.items() if name != "integrityHash"} | {"entityName": "Forged"}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    as_superuser(
        database_url,
        "UPDATE audit_logs SET entity_name = 'Forged', integrity_hash = %(hash)s WHERE id = %(id)s",
        id=forged["id"],
        hash=hashlib.sha256(text.encode()).hexdigest(),
    )
    report = await verified(shop.api.admin)
    assert (report["brokenAtId"], report["brokenReason"]) == (newest["id"], "chain_link_mismatch")


@pytest.mark.parametrize("limit", [10_000, 3])
async def test_rows_that_were_deleted_are_missed_wherever_they_stood(shop: Shop, database_url: str, limit: int) -> None:
    rows = await logs(shop.api.admin)
    for place in (0, 1, len(rows) // 2, len(rows) - 1):
        victim = rows[place]
        with psycopg.connect(database_url) as connection:
            connection.execute("DELETE FROM audit_logs WHERE id = %s", (victim["id"],))
            connection.commit()
            report = await verified(shop.api.admin, limit=limit)
            neighbour = rows[place - 1] if place else rows[1]
            found = (report["intact"], report["brokenAtId"], report["brokenReason"])
            assert found == (False, neighbour["id"], "chain_link_mismatch"), place
            restore(connection, victim)
        assert (await verified(shop.api.admin, limit=limit))["intact"]


def restore(connection: psycopg.Connection[Any], row: dict[str, Any]) -> None:
    """Put a deleted row back as it was."""
    connection.execute(
        "INSERT INTO audit_logs VALUES (%(tenantId)s, %(sequence)s, %(id)s, %(timestamp)s, %(action)s, %(entityType)s,"
        " %(entityId)s, %(entityName)s, %(entityVersion)s, %(changes)s, %(before)s, %(after)s, %(userId)s,"
        " %(userName)s, %(userRole)s, %(requestId)s, %(prevHash)s, %(integrityHash)s)",
        {name: json.dumps(value) if isinstance(value, dict) else value for name, value in row.items()},
    )
    connection.commit()


async def test_a_log_that_was_emptied_is_missed(shop: Shop, database_url: str) -> None:
    as_superuser(database_url, "DELETE FROM audit_logs")
    report = await verified(shop.api.admin)
    assert report == {
        "intact": False,
        "verified": 0,
        "total": 0,
        "scanned": 0,
        "brokenAtId": None,
        "brokenReason": "chain_link_mismatch",
    }


async def test_a_row_slipped_in_behind_the_end_is_named(shop: Shop, database_url: str) -> None:
    newest = (await logs(shop.api.admin))[0]
    with psycopg.connect(database_url) as connection:
        forged = {**newest, "id": "00000000-0000-4000-8000-000000000000", "sequence": newest["sequence"] + 1}
        restore(connection, forged)
    report = await verified(shop.api.admin)
    assert (report["brokenAtId"], report["brokenReason"]) == (forged["id"], "chain_link_mismatch")
    # What follows would have its place: that is refused, and says why.
    answer = await shop.api.admin.post("/api/v1/offers", json={"name": "Next"})
    assert answer.status_code == 409
    assert "audit log" in answer.json()["error"]["message"]


async def test_a_limited_check_looks_at_the_newest_rows_only(shop: Shop) -> None:
    total = len(await logs(shop.api.admin))
    report = await verified(shop.api.admin, limit=3)
    assert report == {
        "intact": True,
        "verified": 3,
        "total": total,
        "scanned": 3,
        "brokenAtId": None,
        "brokenReason": None,
    }


async def test_eight_writers_at_once_leave_one_chain(api: Clients, second: Shop) -> None:
    """Two applications, and every kind of writer: things, keys, settings."""
    clients = [client_of(app, api.tenant.api_keys["admin"]) for app in (api.app, second.api.app) for _ in range(4)]
    before = len(await logs(api.admin))

    async def write(place: int, client: httpx.AsyncClient) -> None:
        for step in range(5):
            name = f"w{place}-{step}"
            answers = [
                await client.post("/api/v1/offers", json={"name": name, "key": name}),
                await client.put(f"/api/v1/offers/{name}", json={"priority": step}),
                await client.post("/api/v1/api-keys", json={"name": name}),
                await client.put("/api/v1/tenant-settings", json={"locale": name}),
            ]
            assert [answer.status_code for answer in answers] == [201, 200, 201, 200]

    await asyncio.gather(*(write(place, client) for place, client in enumerate(clients)))
    for client in clients:
        await client.aclose()
    report = await verified(api.admin)
    assert (report["intact"], report["total"]) == (True, before + 8 * 5 * 4)
