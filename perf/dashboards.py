"""`python -m perf.dashboards`: how long dashboards take over millions of decisions, before and after these are counted.

Decisions are made up in Postgres, 500 a second: two offers of a hundred each, an impression of both, an answer to every
tenth. When they are counted two minutes' more come, which are not: so many are at most, with a tick each minute. A
statement that takes longer than four seconds is given up, as in operation.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, LiteralString
from zoneinfo import ZoneInfo

import msgspec
import psycopg

from kaireon_application.decisioning.count_for_dashboards import count_for_dashboards
from kaireon_application.decisioning.dashboards import DashboardType, GroupBy, SummaryPage, span_of
from kaireon_application.errors import TooSlow
from kaireon_runtime.metrics import Metrics
from kaireon_storage.postgres.dashboard_counts import PostgresDashboardCounts
from kaireon_storage.postgres.dashboards import PostgresDashboards
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.replicas import ReadDatabase
from kaireon_testkit.native.clones import migrated_template
from kaireon_testkit.native.stack import native_stack
from kaireon_testkit.platform.tenant import create_tenant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

_CLONE = Path(__file__).parent.parent
_AT_ONCE = 200_000
_DAYS = 7
_PER_SECOND = 500
_ROUNDS = 5
_DECISIONS: LiteralString = """
    INSERT INTO decision_traces (
        tenant_id, recommendation_id, decided_at, customer_id, flow_id, flow_version, offer_ids, scores
    )
    SELECT
        %(tenant_id)s, gen_random_uuid(), %(end)s - make_interval(secs => %(step)s * (%(total)s - i)),
        'c' || (i * 7919) %% 200000, %(tenant_id)s, 1,
        ARRAY[lpad((1 + i %% 100)::text, 32, '0')::uuid, lpad((1 + (i * 31 + 7) %% 100)::text, 32, '0')::uuid],
        ARRAY[random(), random()]
    FROM generate_series(%(first)s::bigint, %(last)s) AS i
"""
_INTERACTIONS: LiteralString = """
    INSERT INTO interactions (
        tenant_id, id, occurred_at, customer_id, kind, outcome_key, classification, offer_id, creative_id, channel_id,
        recommendation_id, rank, score
    )
    SELECT
        %(tenant_id)s, gen_random_uuid(), %(end)s - make_interval(secs => %(step)s * (%(total)s - i)),
        'c' || (i * 7919) %% 200000,
        CASE rank WHEN 3 THEN 'outcome' ELSE 'impression' END, CASE rank WHEN 3 THEN 'click' ELSE 'impression' END,
        CASE rank WHEN 3 THEN 'positive' ELSE 'neutral' END,
        lpad((1 + (i * (1 + rank %% 2 * 30) + rank) %% 100)::text, 32, '0')::uuid, %(tenant_id)s, %(tenant_id)s,
        gen_random_uuid(), rank, 0.5
    FROM generate_series(%(first)s::bigint, %(last)s) AS i,
        generate_series(1, CASE i %% 10 WHEN 0 THEN 3 ELSE 2 END) AS rank
"""


def fill(database_url: str, tenant_id: UUID, total: int, step: float) -> None:
    """Make up so many decisions and what came of them, one every `step` seconds until now."""
    given = {"tenant_id": tenant_id, "total": total, "step": step, "end": datetime.now(UTC)}
    with psycopg.connect(database_url, autocommit=True) as connection:
        for first in range(1, total + 1, _AT_ONCE):
            last = min(first + _AT_ONCE - 1, total)
            for statement in (_DECISIONS, _INTERACTIONS):
                connection.execute(statement, {**given, "first": first, "last": last})
        connection.execute("VACUUM ANALYZE")


async def time_all(dashboards: PostgresDashboards, tenant_id: UUID) -> dict[str, float | None]:
    """Return the median ms of every dashboard, None for one that is given up."""
    span = span_of(_DAYS, datetime.now(UTC), ZoneInfo("UTC"))
    asked: dict[str, Callable[[], Awaitable[object]]] = {
        type_.value: lambda type_=type_: dashboards.data(tenant_id, type_, span) for type_ in DashboardType
    }
    for group_by in GroupBy:
        page = SummaryPage(group_by=group_by, span=span, limit=100, offset=0)
        asked[f"interactions by {group_by.value}"] = lambda page=page: dashboards.interactions(tenant_id, page)
    return {name: await _median_ms(ask) for name, ask in asked.items()}


async def _median_ms(ask: Callable[[], Awaitable[object]]) -> float | None:
    times = list[float]()
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        try:
            await ask()
        except TooSlow:
            return None
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


async def measure(database_url: str, total: int) -> dict[str, dict[str, float | None]]:
    """Return the times of every dashboard before and after everything is counted."""
    database = Database(database_url, application_name="perf")
    await database.open()
    try:
        tenant_id = (await create_tenant(database, "perf")).tenant_id
        await asyncio.to_thread(fill, database_url, tenant_id, total, 1 / _PER_SECOND)
        dashboards = PostgresDashboards(ReadDatabase(database, (), 0.0, Metrics()))
        before = await time_all(dashboards, tenant_id)
        began = time.perf_counter()
        counts = PostgresDashboardCounts(database)
        while (counted := await count_for_dashboards(counts, [tenant_id], time.monotonic))[0] > 1:
            print(f"{counted[0]} slices, {time.perf_counter() - began:.1f} s")
        # All of them later than what is counted, whose horizon is a minute ago.
        await asyncio.to_thread(fill, database_url, tenant_id, 120 * _PER_SECOND, 0.5 / _PER_SECOND)
        after = await time_all(dashboards, tenant_id)
    finally:
        await database.close()
    return {name: {"beforeMs": before[name], "afterMs": after[name]} for name in after}


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(prog="python -m perf.dashboards", description=__doc__)
    parser.add_argument("--decisions", type=int, default=3_000_000, help="how many are made up")
    given = parser.parse_args()
    with native_stack(_CLONE) as stack, migrated_template(stack.postgres_url) as database_url:
        found = asyncio.run(measure(database_url, given.decisions))
    for name, times in found.items():
        before, after = ("given up" if one is None else f"{one:.0f} ms" for one in times.values())
        print(f"{name:32}{before:>10}{after:>10}")
    print(msgspec.json.encode(found).decode())


if __name__ == "__main__":
    main()
