"""A small catalogue, and what the tests of decisions ask of it again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString

import msgspec

from kaireon_application.platform.event_schemas import EVENT_SCHEMAS

if TYPE_CHECKING:
    from uuid import UUID

    import httpx

    from kaireon_storage.postgres.database import Database
    from tests.api.conftest import Clients

# Everything that deciding and responding write.
TABLES: tuple[LiteralString, ...] = (
    "customers",
    "interactions",
    "interaction_summaries",
    "suppressions",
    "decision_traces",
    "idempotency_keys",
    "outbox_events",
)
_COUNT: LiteralString = "SELECT count(*) FROM"
_OF_TENANT: LiteralString = "WHERE tenant_id = %(tenant_id)s"
_COUNTS: LiteralString = "SELECT " + ", ".join([f"({_COUNT} {table} {_OF_TENANT}) AS {table}" for table in TABLES])
PRIORITIES = {"gold": 90, "silver": 60, "bronze": 30}


@dataclass(frozen=True, kw_only=True)
class Shop:
    """Three offers by priority on an implicit web channel and an explicit e-mail channel; no flow is published."""

    api: Clients
    database: Database

    @property
    def tenant_id(self) -> UUID:
        """The tenant that owns the catalogue."""
        return self.api.tenant.tenant_id

    async def create(self, path: str, **body: Any) -> dict[str, Any]:
        """Create a thing and return it."""
        return await created(self.api.admin, path, **body)

    async def policy(self, type_: str, config: dict[str, Any], **body: Any) -> dict[str, Any]:
        """Create a global contact policy."""
        given = {"name": f"{type_} {config}", "scope": "global", **body}
        return await self.create("contact-policies", ruleType=type_, config=config, **given)

    async def flow(self, key: str, *nodes: dict[str, Any], publish: bool = True) -> dict[str, Any]:
        """Create a flow of inventory, these nodes and response, and publish it."""
        flow = await self.create("decision-flows", key=key, name=key, draftConfig=flow_config(*nodes))
        if publish:
            answer = await self.api.editor.post(f"/api/v1/decision-flows/{key}/publish", json={})
            assert answer.status_code == 200, answer.text
        return flow

    async def recommend(self, customer_id: str = "c1", **body: Any) -> dict[str, Any]:
        """Return a decision."""
        answer = await self.api.viewer.post("/api/v1/recommend", json={"customerId": customer_id, **body})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def respond(self, key: str, **body: Any) -> httpx.Response:
        """Send a response under an idempotency key."""
        given = {"customerId": "c1", "outcome": "click", **body}
        return await self.api.editor.post("/api/v1/respond", json=given, headers={"Idempotency-Key": key})

    async def get(self, path: str, **parameters: Any) -> Any:
        """Return what a path answers."""
        answer = await self.api.viewer.get(f"/api/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def counts(self) -> dict[str, int]:
        """Return how many rows of the tenant each table holds."""
        return (await self.rows(_COUNTS))[0]

    async def rows(self, sql: LiteralString, **parameters: object) -> list[dict[str, Any]]:
        """Return the rows of a statement, seen by the system."""
        async with self.database.system_transaction() as connection:
            cursor = await connection.execute(sql, {"tenant_id": self.tenant_id, **parameters})
            return await cursor.fetchall()

    async def run(self, sql: LiteralString, **parameters: object) -> None:
        """Run a statement as the system."""
        async with self.database.system_transaction() as connection:
            await connection.execute(sql, {"tenant_id": self.tenant_id, **parameters})

    async def events(self) -> list[Any]:
        """Return the payloads of all outbox events in order, each decoded by the schema of its type."""
        rows = await self.rows(
            "SELECT id, type, key, payload FROM outbox_events WHERE tenant_id = %(tenant_id)s ORDER BY position"
        )
        return [msgspec.convert(row["payload"], EVENT_SCHEMAS[row["type"]]) for row in rows]


def flow_config(*nodes: dict[str, Any]) -> dict[str, Any]:
    """Return a flow of inventory, these nodes and response; nodes are named by their place."""
    given = [{"type": "inventory"}, *nodes, {"type": "response"}]
    return {"version": 2, "nodes": [{"id": f"n{place}", **node} for place, node in enumerate(given)]}


async def created(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    """Create a thing and return it."""
    answer = await client.post(f"/api/v1/{path}", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def stock(client: httpx.AsyncClient) -> None:
    """Create the catalogue."""
    await created(
        client, "channels", name="Web", key="web", channelType="web", status="active", impressionMode="implicit"
    )
    await created(client, "channels", name="Mail", key="mail", channelType="email", status="active")
    offers = [
        {"name": name, "key": name, "status": "active", "priority": priority} for name, priority in PRIORITIES.items()
    ]
    await _created_all(client, "offers", offers)
    creatives = [
        {
            "name": f"{name}-{channel}",
            "key": f"{name}-{channel}",
            "offerId": name,
            "channelId": channel,
            "status": "active",
            "content": {"headline": name},
        }
        for name in PRIORITIES
        for channel in ("web", "mail")
    ]
    await _created_all(client, "creatives", creatives)


async def _created_all(client: httpx.AsyncClient, path: str, bodies: list[dict[str, Any]]) -> None:
    answer = await client.post(f"/api/v1/{path}/bulk", json={path: bodies})
    assert answer.status_code == 201, answer.text
