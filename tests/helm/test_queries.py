"""What KEDA counts in Postgres is what waits, as the login of the tiers sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest

from tests.helm.rendering import find, render

if TYPE_CHECKING:
    from kaireon_testkit.platform.tenant import Tenant

# queue, status, due in so many seconds
JOBS = [
    ("batch-jobs", "queued", 0),
    ("batch-jobs", "running", 0),
    ("batch-jobs", "queued", 3600),
    ("batch-jobs", "dead", 0),
    ("retrain-jobs", "queued", 0),
    ("retrain-jobs", "completed", 0),
    ("seed-jobs", "queued", 0),
]
EVENTS = ["pending", "pending", "sent", "processing"]


@pytest.mark.parametrize(
    ("component", "expected"),
    [("worker", 4), ("ml-worker", 1), ("outbox-publisher", 2)],
)
def test_keda_counts_what_waits(component: str, expected: int, database_url: str, tenant: Tenant) -> None:
    (trigger,) = find(render("large-optional"), "ScaledObject", component)["spec"]["triggers"]
    with psycopg.connect(database_url) as connection:
        for queue, status, seconds in JOBS:
            connection.execute(
                "INSERT INTO jobs (id, tenant_id, queue, type, status, run_after)"
                " VALUES (%s, %s, %s, 'test', %s, now() + make_interval(secs => %s))",
                (uuid4(), tenant.tenant_id, queue, status, seconds),
            )
        for status in EVENTS:
            connection.execute(
                "INSERT INTO outbox_events (id, tenant_id, type, key, payload, status)"
                " VALUES (%s, %s, 'test', 'a', '{}', %s)",
                (uuid4(), tenant.tenant_id, status),
            )
        assert connection.execute(trigger["metadata"]["query"]).fetchall() == [(expected,)]


def test_the_owner_of_the_tables_sees_every_tenant(database_url: str) -> None:
    """Its row-level security holds the roles of the tiers, not the login that KEDA uses."""
    with psycopg.connect(database_url) as connection:
        forced = connection.execute(
            "SELECT relname FROM pg_class WHERE relname IN ('jobs', 'outbox_events') AND relforcerowsecurity"
        )
        assert forced.fetchall() == []
