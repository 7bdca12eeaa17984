"""Schemas: real tables, created and dropped with their metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Database
    from tests.api.conftest import Clients

Body = dict[str, Any]

PATH = "/api/v1/schemas"


def body(name: str = "households", **changes: Any) -> Body:
    fields = [
        {"name": "customer_id", "dataType": "varchar", "isPrimaryKey": True},
        {"name": "age", "dataType": "integer", "isPredictor": True},
    ]
    return {"name": name, "fields": fields, **changes}


def paths(answer: httpx.Response) -> set[str]:
    return {problem["path"] for problem in answer.json()["error"]["details"]}


async def create(api: Clients, **changes: Any) -> Body:
    created = await api.editor.post(PATH, json=body(**changes))
    assert created.status_code == 201, created.text
    return created.json()


async def test_a_schema_is_a_real_table_of_the_tenant(api: Clients, database: Database) -> None:
    schema = await create(api, name="My households!")

    async with database.system_transaction() as connection:
        cursor = await connection.execute(
            "SELECT table_schema FROM information_schema.tables WHERE table_name = %s", [schema["tableName"]]
        )
        row = await cursor.fetchone()

    assert row == {"table_schema": f"tenant_{api.tenant.tenant_id.hex}"}
    assert (schema["name"], schema["tableName"]) == ("My_households_", "ds_My_households_")
    assert schema["displayName"] == "My households!"
    assert [field["ordinal"] for field in schema["fields"]] == [0, 1]


async def test_a_bad_definition_is_refused_whole(api: Clients) -> None:
    fields = [
        {"name": "a", "dataType": "uuid"},
        {"name": "b", "length": 0},
    ]
    senseless = [
        {"name": "a"},
        {"name": "a"},
        {"name": "tenant_id"},
        {"name": 'quo"te'},
        {"name": "n", "dataType": "integer", "length": 4},
        {"name": "s", "dataType": "numeric", "scale": 3, "precision": 2},
        {"name": "j", "dataType": "json", "isUnique": True},
        {"name": "d", "dataType": "date", "defaultValue": "soon"},
        {"name": "w" * 64},
    ]

    wrong = await api.editor.post(PATH, json=body(fields=fields))
    refused = await api.editor.post(PATH, json=body(fields=senseless))
    nameless = await api.editor.post(PATH, json=body(name="x" * 61))

    assert paths(wrong) == {"$.fields[0].dataType", "$.fields[1].length"}
    assert paths(refused) == {
        "$.fields[1].name",
        "$.fields[2].name",
        "$.fields[3].name",
        "$.fields[4].length",
        "$.fields[5].scale",
        "$.fields[6].dataType",
        "$.fields[7].defaultValue",
        "$.fields[8].name",
    }
    assert paths(nameless) == {"$.name"}
    assert (await api.viewer.get(PATH)).json()["pagination"]["total"] == 0


async def test_a_second_schema_of_the_name_is_a_conflict_until_the_first_is_deleted(api: Clients) -> None:
    first = await create(api)

    assert (await api.editor.post(PATH, json=body())).status_code == 409
    assert (await api.editor.post(PATH, json=body(key="another"))).status_code == 409
    assert (await api.editor.delete(f"{PATH}/{first['id']}")).status_code == 204
    assert (await create(api))["tableName"] == first["tableName"]


async def test_fields_may_be_added_but_not_changed_or_taken_away(api: Clients) -> None:
    schema = await create(api)
    url = f"{PATH}/{schema['key']}"
    await api.editor.post(f"{url}/data", json={"rows": [{"customer_id": "C1", "age": 3}]})
    customer, age = schema["fields"]

    added = await api.editor.put(
        url, json={"fields": [customer, age, {"name": "region", "defaultValue": "north", "isNullable": False}]}
    )
    retyped = await api.editor.put(url, json={"fields": [customer, {**age, "dataType": "text"}]})
    keyless = await api.editor.put(url, json={"fields": [*added.json()["fields"], {"name": "x", "isPrimaryKey": True}]})

    assert added.status_code == 200
    rows = (await api.viewer.get(f"{url}/data")).json()["data"]
    assert rows == [{"customer_id": "C1", "age": 3, "region": "north"}]
    assert paths(retyped) == {"$.fields", "$.fields[1].dataType"}
    assert paths(keyless) == {"$.fields[3].isPrimaryKey"}
    assert (await api.editor.put(url, json={"name": "other"})).status_code == 400


async def test_a_deleted_schema_takes_its_rows_with_it(api: Clients) -> None:
    schema = await create(api)
    await api.editor.post(f"{PATH}/{schema['id']}/data", json={"rows": [{"customer_id": "C1"}]})

    await api.editor.delete(f"{PATH}/{schema['id']}")

    assert (await api.viewer.get(f"{PATH}/{schema['id']}/data")).status_code == 404
    again = await create(api)
    assert (await api.viewer.get(f"{PATH}/{again['id']}/data")).json()["data"] == []
