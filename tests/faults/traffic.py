"""Clients that never cease to call, and what they were told."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.faults.member import DEADLINE_SECONDS

CLIENTS = 4
# Of each client.
CUSTOMERS = 4
_PAUSE_SECONDS = 0.05
_QUIET_CALLS = 30
ASKED = {"decisionFlowKey": "all", "channel": "web", "limit": 1}


@dataclass(frozen=True)
class Call:
    """A call that is the same call however often it is sent."""

    path: str
    body: dict[str, Any]
    key: str | None = None


@dataclass
class Ledger:
    """What was acknowledged, and what came instead of an acknowledgement."""

    decisions: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    responses: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    events: dict[str, str] = field(default_factory=dict[str, str])
    runs: dict[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    responded: list[tuple[Call, dict[str, Any]]] = field(default_factory=list[tuple[Call, dict[str, Any]]])
    # Decisions asked for without a key, of which nobody knows whether they were made; by customer.
    uncertain: Counter[str] = field(default_factory=Counter[str])
    failures: Counter[str] = field(default_factory=Counter[str])


class Traffic:
    """Customers who look, respond and do things, each client in its own pace, and small runs beside them."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.ledger = Ledger()
        self._client = client
        self._is_over = False
        self._attempts = 0
        self._streaks = [0] * CLIENTS

    @asynccontextmanager
    async def flowing(self) -> AsyncGenerator[None]:
        """Call until the block ends; what was begun then is still insisted upon."""
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._visit_again_and_again(number))
            try:
                yield
            finally:
                self._is_over = True

    async def start_run(self, customers: Sequence[str]) -> str:
        """Start a batch run; return its id."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (run_id := await self._try_run(0, customers)) is None:
            assert time.monotonic() < deadline, self.ledger.failures
        return run_id

    async def until_tried(self, more: int) -> None:
        """Wait until so many more calls were tried, whatever came of them."""
        await self._until(lambda goal=self._attempts + more: self._attempts >= goal)

    async def until_smooth(self) -> None:
        """Wait until every client has been answered again and again, without a failure in between."""
        self._streaks = [0] * CLIENTS
        await self._until(lambda: min(self._streaks) >= _QUIET_CALLS)

    async def _until(self, holds: Any) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not holds():
            assert time.monotonic() < deadline, (self._streaks, self.ledger.failures)
            await asyncio.sleep(0.01)

    async def _visit_again_and_again(self, client: int) -> None:
        visit = 0
        while not self._is_over:
            await self._visit(client, visit)
            visit += 1
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _visit(self, client: int, visit: int) -> None:
        customer, name = f"k{client}-{visit % CUSTOMERS}", f"{client}-{visit}"
        decided = await self._insist(client, Call("recommend", {"customerId": customer, **ASKED}, f"d{name}"))
        recommendation = decided["recommendationId"]
        self.ledger.decisions[customer].append(recommendation)
        about = {"customerId": customer, "recommendationId": recommendation, "rank": 1}
        call = Call("respond", {"outcome": "click", **about}, f"r{name}")
        responded = await self._insist(client, call)
        self.ledger.responses[customer].append(responded["interactionId"])
        self.ledger.responded.append((call, responded))
        happened = {"customerId": customer, "eventType": "page_viewed", "eventId": f"e{name}"}
        kept = await self._insist(client, Call("events", happened))
        self.ledger.events[happened["eventId"]] = kept["results"][0]["streamId"]
        await self._decide_once(client, f"u{client}-{visit % CUSTOMERS}")
        if visit % 10 == 0:
            await self._try_run(client, [f"r{name}-{number}" for number in range(3)])

    async def _decide_once(self, client: int, customer: str) -> None:
        decided = await self._try(client, Call("recommend", {"customerId": customer, **ASKED}))
        if decided is None:
            self.ledger.uncertain[customer] += 1
        else:
            self.ledger.decisions[customer].append(decided["recommendationId"])

    async def _try_run(self, client: int, customers: Sequence[str]) -> str | None:
        started = await self._try(client, Call("decide", {"customerIds": customers, "async": True, **ASKED}))
        if started is None:
            return None
        self.ledger.runs[started["runId"]] = customers
        return started["runId"]

    async def _insist(self, client: int, call: Call) -> dict[str, Any]:
        """Return what a call is answered, sent again and again until it is."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (answer := await self._try(client, call)) is None:
            assert time.monotonic() < deadline, (call, self.ledger.failures)
        return answer

    async def _try(self, client: int, call: Call) -> dict[str, Any] | None:
        """Return what a call is answered, None where it is not."""
        headers = {} if call.key is None else {"Idempotency-Key": call.key}
        self._attempts += 1
        try:
            answer = await self._client.post(f"/api/v1/{call.path}", json=call.body, headers=headers)
        except httpx.TransportError as error:
            failure = "cut"
            print(f"{call.path} was cut: {error!r}")
        else:
            if answer.is_success:
                self._streaks[client] += 1
                return answer.json()
            failure = f"{answer.status_code} {answer.json()['error']['code']}"
        self.ledger.failures[failure] += 1
        self._streaks[client] = 0
        await asyncio.sleep(_PAUSE_SECONDS)
        return None
