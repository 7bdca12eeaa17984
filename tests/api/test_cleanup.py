"""`POST /cleanup`: what has ended goes, what is kept or on hold stays, and the audit log tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cron.test_cleanup import Tables

if TYPE_CHECKING:
    from tests.api.shop import Shop

PATH = "/api/v1/cleanup"
NOTHING = {"expiredVariantAssignments": 0, "oldAuditLogs": 0}


@pytest.fixture
def tables(database_url: str) -> Tables:
    """The tables as their owner sees them."""
    return Tables(database_url)


async def aged(shop: Shop, tables: Tables, **hold: bool) -> None:
    """Give the tenant an assignment that has ended and one that has not, and two old rows of the audit log."""
    await shop.run(
        "INSERT INTO variant_assignments SELECT %(tenant_id)s, 'c', 'e' || hours, 'v', now(),"
        " now() + make_interval(hours => hours) FROM unnest(ARRAY[-1, 1]) AS given (hours)"
    )
    await shop.run(
        "INSERT INTO retention_configs SELECT %(tenant_id)s, name, CASE WHEN name = 'audit' THEN 30 END, held"
        " FROM unnest(%(names)s::text[], %(held)s::boolean[]) AS given (name, held)",
        names=["interactions", "audit"],
        held=[hold.get("interactions", False), hold.get("audit", False)],
    )
    tables.run(
        "UPDATE audit_logs SET logged_at = logged_at - interval '40 days' WHERE tenant_id = %s AND sequence <= 2",
        shop.api.tenant.tenant_id,
    )


async def cleaned(shop: Shop) -> dict[str, Any]:
    answer = await shop.api.admin.post(PATH)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"cleaned"}
    return answer.json()["cleaned"]


async def test_what_has_ended_goes_and_the_audit_log_tells(shop: Shop, other_shop: Shop, tables: Tables) -> None:
    await aged(shop, tables)
    await aged(other_shop, tables)
    assert await cleaned(shop) == {"expiredVariantAssignments": 1, "oldAuditLogs": 2}
    assert await cleaned(shop) == NOTHING
    rows = (await shop.api.admin.get("/api/v1/audit-logs", params={"action": "cleanup"})).json()["data"]
    assert [row["after"] for row in reversed(rows)] == [{"expiredVariantAssignments": 1, "oldAuditLogs": 2}, NOTHING]
    assert (await shop.api.admin.get("/api/v1/audit-logs/verify")).json()["intact"]
    # Another tenant's are still there.
    assert await cleaned(other_shop) == {"expiredVariantAssignments": 1, "oldAuditLogs": 2}


HOLDS = [
    ({"interactions": True}, {"expiredVariantAssignments": 0, "oldAuditLogs": 2}),
    ({"audit": True}, {"expiredVariantAssignments": 1, "oldAuditLogs": 0}),
]


@pytest.mark.parametrize(("holds", "expected"), HOLDS)
async def test_what_is_on_hold_stays(
    shop: Shop, tables: Tables, holds: dict[str, bool], expected: dict[str, int]
) -> None:
    await aged(shop, tables, **holds)
    assert await cleaned(shop) == expected


async def test_nothing_goes_while_holds_cannot_be_read(shop: Shop, tables: Tables) -> None:
    await aged(shop, tables)
    tables.run("ALTER TABLE retention_configs RENAME TO away")
    assert (await shop.api.admin.post(PATH)).status_code >= 500
    tables.run("ALTER TABLE away RENAME TO retention_configs")
    assert await cleaned(shop) == {"expiredVariantAssignments": 1, "oldAuditLogs": 2}


async def test_five_a_minute_are_enough_and_only_an_admin_may(shop: Shop) -> None:
    assert (await shop.api.editor.post(PATH)).status_code == 403
    codes = [(await shop.api.admin.post(PATH)).status_code for _ in range(6)]
    assert codes == [200, 200, 200, 200, 200, 429]
