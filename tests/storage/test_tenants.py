"""Tenants and their keys in Postgres: what a new one holds, and who may not be it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kaireon_application.errors import Conflict, InvalidInput, NotFound
from kaireon_application.platform.api_key import KeyRole, hash_api_key
from kaireon_application.platform.system_outcome_types import SYSTEM_OUTCOME_TYPES
from kaireon_application.platform.tenant import create_tenant, find_tenant
from kaireon_storage.postgres.api_keys import PostgresApiKeys
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.tenants import PostgresTenants

PEPPER = "p" * 32
NOW = datetime(2026, 11, 20, tzinfo=UTC)


async def test_a_new_tenant_holds_an_admin_key_and_the_outcome_types(database: Database) -> None:
    created = await create_tenant(PostgresTenants(database), key="acme", name="Acme", pepper=PEPPER, now=NOW)

    key_hash = hash_api_key(PEPPER, created.api_key)
    credential = (await PostgresApiKeys(database).find([key_hash]))[key_hash]
    assert (credential.tenant_id, credential.tenant_key, credential.role) == (
        created.tenant_id,
        "acme",
        KeyRole.ADMIN,
    )
    async with PostgresEntities(database).reading(created.tenant_id) as reader:
        found = await reader.find("outcome_type", [given.key for given in SYSTEM_OUTCOME_TYPES])
    assert [found[given.key].body["ordinal"] for given in SYSTEM_OUTCOME_TYPES] == list(range(10))
    assert found["convert"].body["classification"] == "positive"


async def test_a_taken_key_is_a_conflict_and_nothing_is_written(database: Database) -> None:
    tenants = PostgresTenants(database)
    await create_tenant(tenants, key="acme", name="Acme", pepper=PEPPER, now=NOW)

    with pytest.raises(Conflict, match="acme"):
        await create_tenant(tenants, key="acme", name="Another", pepper=PEPPER, now=NOW)

    assert len(await tenants.config_versions()) == 1


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("", "x"),
        ("a b", "x"),
        ("-a", "x"),
        ("a\n", "x"),
        ("a" * 256, "x"),
        ("0b0e6a4e-3f0a-4c43-9d9e-0a5a6a6a6a6a", "x"),
        ("a", " "),
        ("a", "x" * 256),
    ],
)
async def test_a_key_or_name_that_cannot_be_is_refused(database: Database, key: str, name: str) -> None:
    with pytest.raises(InvalidInput):
        await create_tenant(PostgresTenants(database), key=key, name=name, pepper=PEPPER, now=NOW)


async def test_a_tenant_is_found_by_id_and_by_key(database: Database) -> None:
    tenants = PostgresTenants(database)
    created = await create_tenant(tenants, key="acme", name="Acme", pepper=PEPPER, now=NOW)

    assert await find_tenant(tenants, "acme") == await find_tenant(tenants, str(created.tenant_id))
    with pytest.raises(NotFound):
        await find_tenant(tenants, "nobody")


async def test_another_pepper_is_another_key(database: Database) -> None:
    created = await create_tenant(PostgresTenants(database), key="acme", name="Acme", pepper=PEPPER, now=NOW)

    assert await PostgresApiKeys(database).find([hash_api_key("q" * 32, created.api_key)]) == {}
