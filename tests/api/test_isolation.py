"""What every kind promises, as one table: shape, roles, versions, soft deletion, and one tenant never sees another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx
import pytest

from kaireon_testkit.platform.tenant import create_tenant

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Database
    from tests.api.conftest import Clients

Body = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A kind: its path, a valid body, what must exist first (path, body) and who may write."""

    path: str
    body: Body
    change: Body
    needs: tuple[tuple[str, Body], ...] = ()
    writer: str = "editor"
    reference: str = ""
    defaults: Body = field(default_factory=dict)


_CATEGORY = ("categories", {"name": "Cards", "key": "cards"})
_OFFER = ("offers", {"name": "Gold", "key": "gold"})
_CHANNEL = ("channels", {"name": "Web", "key": "web", "channelType": "web", "status": "active"})

CASES = (
    Case(
        path="offers",
        body={"name": "Gold card", "categoryId": "cards"},
        change={"priority": 80},
        needs=(_CATEGORY,),
        reference="categoryId",
        defaults={"status": "draft", "priority": 50, "businessValue": 50, "mandatory": False, "tags": []},
    ),
    Case(
        path="creatives",
        body={"name": "Gold banner", "offerId": "gold", "channelId": "web"},
        change={"weight": 30},
        needs=(_OFFER, _CHANNEL),
        reference="offerId",
        defaults={"status": "draft", "weight": 100, "templateType": "email_html", "placementId": None, "content": {}},
    ),
    Case(
        path="categories",
        body={"name": "Loans"},
        change={"color": "red"},
        defaults={"status": "active", "color": "blue", "ordinal": 0, "customFields": []},
    ),
    Case(
        path="sub-categories",
        body={"name": "Credit cards", "categoryId": "cards"},
        change={"description": "Plastic"},
        needs=(_CATEGORY,),
        reference="categoryId",
        defaults={"status": "active", "color": "blue"},
    ),
    Case(
        path="channels",
        body={"name": "Email"},
        change={"impressionMode": "implicit"},
        defaults={
            "status": "draft",
            "channelType": "email",
            "deliveryMode": "api",
            "impressionMode": "explicit",
            "couplingMode": "partial",
            "placements": [],
        },
    ),
    Case(
        path="placements",
        body={"name": "Hero", "channelId": "web"},
        change={"maxSlots": 3},
        needs=(_CHANNEL,),
        reference="channelId",
        defaults={"status": "active", "slotType": "banner", "maxSlots": 1},
    ),
    Case(
        path="outcome-types",
        body={"name": "Renewed it", "classification": "positive"},
        change={"description": "For another year"},
        defaults={"key": "renewed_it", "status": "active", "category": "response", "isSystem": False},
    ),
    Case(
        path="qualification-rules",
        body={
            "name": "Adults",
            "ruleType": "attribute_condition",
            "config": {"attribute": "age", "operator": "gte", "value": 18},
            "scope": "offer",
            "scopeId": "gold",
        },
        change={"priority": 90},
        needs=(_OFFER,),
        writer="admin",
        reference="scopeId",
        defaults={"status": "active", "priority": 50, "stage": "qualification", "decisioningStage": "eligibility"},
    ),
    Case(
        path="contact-policies",
        body={
            "name": "Three a day",
            "ruleType": "frequency_cap",
            "config": {"maxPerDay": 3},
            "scope": "channel",
            "scopeId": "web",
        },
        change={"priority": 10},
        needs=(_CHANNEL,),
        writer="admin",
        reference="scopeId",
        defaults={"status": "active", "priority": 50, "scopes": []},
    ),
    Case(
        path="schemas",
        body={"name": "households", "fields": [{"name": "customer_id", "isPrimaryKey": True}]},
        change={"description": "One row a household"},
        defaults={"tableName": "ds_households", "entityType": "customer", "status": "active"},
    ),
)


def url(case: Case, reference: str = "") -> str:
    return f"/api/v1/{case.path}/{reference}".rstrip("/")


async def prepare(client: httpx.AsyncClient, case: Case) -> None:
    """Create what the case refers to, unless an earlier case did."""
    for path, body in case.needs:
        assert (await client.post(f"/api/v1/{path}", json=body)).status_code in {201, 409}


async def create(client: httpx.AsyncClient, case: Case, **changes: Any) -> Body:
    created = await client.post(url(case), json={**case.body, **changes})
    assert created.status_code == 201, created.text
    return created.json()


@pytest.fixture
async def stranger(api: Clients, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """An admin of another tenant."""
    other = await create_tenant(database, "globex")
    async with api.with_key(other.api_keys["admin"]) as client:
        yield client


async def test_a_thing_is_created_with_its_defaults_and_read_by_id_and_key(api: Clients) -> None:
    for case in CASES:
        await prepare(api.editor, case)

        created = await create(getattr(api, case.writer), case)

        assert UUID(created["id"])
        assert created["rowVersion"] == 1
        assert created["tenantId"] == str(api.tenant.tenant_id)
        assert created["deletedAt"] is None
        assert {name: created[name] for name in case.defaults} == case.defaults
        for reference in (created["id"], created["key"]):
            assert (await api.viewer.get(url(case, reference))).json() == created
        listed = (await api.viewer.get(url(case))).json()
        assert created in listed["data"]
        assert listed["pagination"].keys() == {"total", "limit", "hasMore", "nextCursor"}


async def test_a_change_is_partial_and_a_stale_one_is_refused(api: Clients) -> None:
    for case in CASES:
        await prepare(api.editor, case)
        writer = getattr(api, case.writer)
        created = await create(writer, case)

        changed = await writer.put(url(case, created["key"]), json={**case.change, "rowVersion": 1})
        stale = await writer.put(url(case, created["id"]), json={**case.change, "rowVersion": 1})

        assert changed.status_code == 200
        assert changed.json() == created | case.change | {"rowVersion": 2, "updatedAt": changed.json()["updatedAt"]}
        assert stale.status_code == 409
        assert stale.json()["error"]["code"] == "CONFLICT"
        assert (await api.viewer.get(url(case, created["id"]))).json() == changed.json()


async def test_a_deleted_thing_is_gone_but_listed_on_request_and_frees_its_key(api: Clients) -> None:
    for case in CASES:
        await prepare(api.editor, case)
        writer = getattr(api, case.writer)
        created = await create(writer, case)

        deleted = await writer.delete(url(case, created["id"]))

        assert (deleted.status_code, deleted.content) == (204, b"")
        assert (await api.viewer.get(url(case, created["id"]))).status_code == 404
        assert (await writer.delete(url(case, created["key"]))).status_code == 404
        assert created["id"] not in {row["id"] for row in (await api.viewer.get(url(case))).json()["data"]}
        with_deleted = (await api.viewer.get(url(case), params={"includeDeleted": "true"})).json()["data"]
        assert next(row for row in with_deleted if row["id"] == created["id"])["deletedAt"] is not None
        assert (await create(writer, case, key=created["key"]))["id"] != created["id"]


async def test_roles_hold_whatever_the_body_or_id(api: Clients) -> None:
    for case in CASES:
        missing = str(uuid4())
        weaker = "viewer" if case.writer == "editor" else "editor"
        for client in (getattr(api, weaker), api.viewer):
            assert (await client.post(url(case), content=b"{")).status_code == 403
            assert (await client.put(url(case, missing), json={})).status_code == 403
            assert (await client.delete(url(case, missing))).status_code == 403
        assert (await api.anonymous.get(url(case))).status_code == 401


async def test_bad_input_is_refused_with_paths_and_an_unknown_id_comes_first(api: Clients) -> None:
    for case in CASES:
        writer = getattr(api, case.writer)

        refused = await writer.post(url(case), json={"name": 7, "colour": "red", "key": "a b"})
        uuid_key = await writer.post(url(case), json={**case.body, "key": str(uuid4())})
        unknown = await writer.put(url(case, "nobody"), content=b"{", headers={"Content-Type": "application/json"})

        assert refused.status_code == 400
        assert {"$.name", "$.colour", "$.key"} <= {problem["path"] for problem in refused.json()["error"]["details"]}
        assert uuid_key.status_code == 400
        assert [problem["path"] for problem in uuid_key.json()["error"]["details"]] == ["$.key"]
        assert unknown.status_code == 404
        for bad in ({"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"cursor": "%%%"}, {"cursor": "bm9wZQ"}):
            assert (await api.viewer.get(url(case), params=bad)).status_code == 400, bad


async def test_a_taken_key_is_a_conflict(api: Clients) -> None:
    for case in CASES:
        await prepare(api.editor, case)
        writer = getattr(api, case.writer)
        created = await create(writer, case)

        again = await writer.post(url(case), json={**case.body, "name": "Another name", "key": created["key"]})

        assert again.status_code == 409
        assert again.json()["error"]["details"][0]["path"] == "$.key"


async def test_another_tenants_thing_does_not_exist(api: Clients, stranger: httpx.AsyncClient) -> None:
    for case in CASES:
        await prepare(api.editor, case)
        created = await create(getattr(api, case.writer), case)

        for reference in (created["id"], created["key"]):
            assert (await stranger.get(url(case, reference))).status_code == 404
            assert (await stranger.put(url(case, reference), json=case.change)).status_code == 404
            assert (await stranger.delete(url(case, reference))).status_code == 404
        assert created["id"] not in {row["id"] for row in (await stranger.get(url(case))).json()["data"]}
        assert (await api.viewer.get(url(case, created["id"]))).json() == created


async def test_a_foreign_or_unknown_reference_is_not_found_at_its_path(
    api: Clients, stranger: httpx.AsyncClient
) -> None:
    for case in [case for case in CASES if case.reference]:
        await prepare(api.admin, case)
        own = (await create(api.admin, case))[case.reference]
        assert UUID(own), "a key is stored as id"

        for client, reference in ((stranger, own), (api.admin, str(uuid4())), (api.admin, "no-such-key")):
            body = deepcopy(case.body) | {case.reference: reference, "name": "Another", "key": "another"}
            other = [need for need in case.needs if need[1]["key"] != case.body[case.reference]]
            if client is stranger:
                await prepare(stranger, Case(path="", body={}, change={}, needs=tuple(other)))
            refused = await client.post(url(case), json=body)
            assert refused.status_code == 404, refused.text
            assert [problem["path"] for problem in refused.json()["error"]["details"]] == [f"$.{case.reference}"]


async def test_another_tenant_may_use_the_same_names_and_keys(api: Clients, stranger: httpx.AsyncClient) -> None:
    for case in CASES:
        await prepare(api.admin, case)
        await prepare(stranger, case)
        mine, theirs = await create(api.admin, case), await create(stranger, case)

        assert mine["key"] == theirs["key"]
        assert mine["id"] != theirs["id"]
