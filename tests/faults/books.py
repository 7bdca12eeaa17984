"""What the platform has on its books, against what its clients were told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any, LiteralString

import httpx
import psycopg
from psycopg.rows import dict_row

from tests.faults.member import DEADLINE_SECONDS
from tests.faults.platform import Platform
from tests.faults.traffic import Ledger
from tests.outbox_publisher.conftest import StreamReader

_OVER = {"completed", "failed", "cancelled"}


class Books:
    """Asks the API as a client does; SQL where one question is about thousands of customers."""

    def __init__(self, platform: Platform, client: httpx.AsyncClient, ledger: Ledger) -> None:
        self._platform = platform
        self._client = client
        self._ledger = ledger

    async def get(self, path: str, **parameters: Any) -> Any:
        """Return what a path answers."""
        answer = await self._client.get(f"/api/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def rows(self, query: LiteralString, *parameters: object) -> list[dict[str, Any]]:
        """Return what a statement finds."""
        connection = await psycopg.AsyncConnection.connect(self._platform.database_url)
        async with connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(query, parameters)
            return await cursor.fetchall()

    async def check_repeats(self) -> None:
        """Every response sent once more is answered with the first answer."""
        for call, first in self._ledger.responded:
            answer = await self._client.post(
                f"/api/v1/{call.path}", json=call.body, headers={"Idempotency-Key": call.key or ""}
            )
            assert (answer.status_code, answer.json()) == (200, first)
        for event_id, stream_id in self._ledger.events.items():
            event = {"customerId": "another", "eventType": "page_viewed", "eventId": event_id}
            answer = await self._client.post("/api/v1/events", json=event)
            assert answer.json()["results"][0]["streamId"] == stream_id

    async def check_customers(self) -> None:
        """History, traces and summaries of every customer hold what was acknowledged, once."""
        for customer in self._ledger.decisions.keys() | self._ledger.uncertain.keys():
            acknowledged, kinds = self._ledger.decisions[customer], await self._history(customer)
            decided = [row["recommendationId"] for row in kinds["recommendation"]]
            assert len(decided) == len(set(decided))
            assert set(decided) >= set(acknowledged)
            assert len(decided) - len(acknowledged) <= self._ledger.uncertain[customer]
            assert sorted(row["recommendationId"] for row in kinds["impression"]) == sorted(decided)
            assert sorted(row["id"] for row in kinds["click"]) == sorted(self._ledger.responses[customer])
            for recommendation in acknowledged:
                assert (await self.get(f"decision-traces/{recommendation}"))["customerId"] == customer
            summed = (await self.get("interaction-summaries", customerId=customer, periodType="alltime"))["data"]
            counted = [sum(row[name] for row in summed) for name in ("impressions", "positive")]
            assert counted == [len(decided), len(self._ledger.responses[customer])]

    async def _history(self, customer: str) -> dict[str, list[dict[str, Any]]]:
        kinds: dict[str, list[dict[str, Any]]] = {"recommendation": [], "impression": [], "click": []}
        cursor: dict[str, str] = {}
        while True:
            page = await self.get("interaction-history", customerId=customer, limit=100, **cursor)
            for row in page["data"]:
                if row["interactionType"] in kinds:
                    kinds[row["interactionType"]].append(row)
            if not page["pagination"]["hasMore"]:
                return kinds
            cursor = {"cursor": page["pagination"]["nextCursor"]}

    async def check_runs(self) -> None:
        """Every run is completed, with each of its customers decided once."""
        for run_id, customers in self._ledger.runs.items():
            assert (await self.until_over(run_id))["status"] == "completed"
            results = (await self._client.get(f"/api/v1/runs/{run_id}/results")).text.splitlines()
            assert [line.split('"customerId":"', 1)[1].split('"', 1)[0] for line in results] == list(customers)
        shown = {row["customer_id"]: row["count"] for row in await self.rows(_SHOWN)}
        assert {shown.get(one) for customers in self._ledger.runs.values() for one in customers} == {1}

    async def until_over(self, run_id: str) -> dict[str, Any]:
        """Return a run once it is over."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (run := await self.get(f"runs/{run_id}"))["status"] not in _OVER:
            assert time.monotonic() < deadline, run
            await asyncio.sleep(0.1)
        return run

    async def until_begun(self, run_id: str) -> None:
        """Wait until a run has decided for somebody."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (run := await self.get(f"runs/{run_id}"))["progress"]["processed"] == 0:
            assert time.monotonic() < deadline, run
            await asyncio.sleep(0.01)

    async def check_counts(self, cap_id: str) -> None:
        """The cap, the evidence and the events agree with the history to the last one."""
        (total,) = await self.rows(_TOTALS)
        assert (await self.get(f"frequency-caps/{cap_id}"))["currentCount"] == total["impressions"]
        assert total["summed"] == total["impressions"]
        assert total["events"] == len(self._ledger.events)
        assert total["made"] == total["decisions"] == total["traces"]
        assert total["recorded"] == total["interactions"]
        assert total["evidence"] == total["responses"] == len(self._ledger.responded)

    async def until_relayed(self) -> None:
        """Wait until nothing is left in the outbox; nothing may have died there."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (count := (await self.rows(_PENDING))[0]["count"]) > 0:
            assert time.monotonic() < deadline, count
            await asyncio.sleep(0.1)
        assert await self.rows("SELECT id, type FROM outbox_dead_letters") == []

    async def last_position(self) -> int:
        """Return the position of the newest event."""
        return (await self.rows("SELECT coalesce(max(position), 0) AS position FROM outbox_events"))[0]["position"]

    async def check_stream(self, after: int = 0) -> None:
        """Every event after a position is on the stream, each customer's in order, repeats as they were."""
        await self.until_relayed()
        written = await self.rows(_WRITTEN, after)
        entries = self._entries()
        assert {entry["id"] for entry in entries} >= {row["id"] for row in written}
        known = {row["id"] for row in written}
        assert _by_customer(entry for entry in entries if entry["id"] in known) == _by_customer(written)
        repeats = {(entry["id"], entry["type"], entry["key"], entry["payload"]) for entry in entries}
        assert len(repeats) == len({entry["id"] for entry in entries})

    async def check_everything_comes_again(self) -> None:
        """Events that were sent again stand on the stream in order, after whatever was there."""
        await self.until_relayed()
        written = await self.rows(_WRITTEN, 0)
        backwards = _by_customer(reversed(self._entries()))
        assert {key: ids[::-1] for key, ids in backwards.items()} == _by_customer(written)

    def _entries(self) -> list[dict[str, str]]:
        reader = StreamReader(self._platform.environment["REDIS_URL"])
        try:
            return reader.entries()
        finally:
            reader.close()


def _by_customer(events: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """Return each customer's event ids in order of their first mention."""
    ids: dict[str, dict[str, None]] = {}
    for event in events:
        ids.setdefault(event["key"], {})[event["id"]] = None
    return {key: list(of_key) for key, of_key in ids.items()}


_WRITTEN = "SELECT id::text, key FROM outbox_events WHERE position > %s ORDER BY position"
_PENDING = "SELECT count(*) FROM outbox_events WHERE status = 'pending'"
_SHOWN = "SELECT customer_id, count(*) FROM interactions WHERE outcome_key = 'impression' GROUP BY customer_id"
_TOTALS = """
SELECT
    (SELECT count(*) FROM interactions WHERE outcome_key = 'impression') AS impressions,
    (SELECT count(*) FROM interactions WHERE outcome_key = 'click') AS responses,
    (SELECT count(*) FROM interactions WHERE kind = 'event') AS events,
    (SELECT count(*) FROM interactions WHERE kind <> 'event') AS interactions,
    (SELECT sum(impressions) FROM interaction_summaries WHERE period_type = 'alltime') AS summed,
    (SELECT count(*) FROM decision_traces) AS traces,
    (SELECT count(*) FROM outbox_events WHERE type = 'decision.made.v1') AS made,
    (SELECT count(DISTINCT payload ->> 'recommendationId') FROM outbox_events WHERE type = 'decision.made.v1')
        AS decisions,
    (SELECT count(*) FROM outbox_events WHERE type = 'interaction.recorded.v1') AS recorded,
    (SELECT sum(positive) FROM adaptations) AS evidence
"""
