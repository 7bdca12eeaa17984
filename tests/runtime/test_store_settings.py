"""The settings of interaction stores: what is refused, what they come to, and that they disturb no others."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic_settings import BaseSettings

from kaireon_api.settings import Settings as Api
from kaireon_outbox_publisher.settings import Settings as Publisher
from kaireon_runtime.store_settings import InteractionStoreSettings, StoreBackend
from kaireon_worker.settings import Settings as Worker


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"interaction_store": "oracle"}, "must be one of: pg, dynamodb, scylla, cassandra, keyspaces"),
        ({"interaction_store": "pg", "interaction_store_dual_write": "pg"}, "must be another store"),
        ({"interaction_store": "keyspaces"}, "KEYSPACES_REGION is not set"),
        ({"interaction_store": "cassandra", "cassandra_username": "u"}, "CASSANDRA_USERNAME and CASSANDRA_PASSWORD"),
        ({"dynamodb_endpoint_url": "localhost:8000"}, "must start with http:// or https://"),
        ({"cassandra_contact_points": " , "}, "must name at least one host"),
        ({"scylla_keyspace": "a; DROP"}, "should match pattern"),
        ({"scylla_ca_file": "/nowhere"}, "must name a file that exists"),
        ({"interaction_store_timeout_ms": 1}, "greater than or equal to 50"),
    ],
)
def test_a_mistake_is_told(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        InteractionStoreSettings.model_validate(given)


@pytest.mark.parametrize(
    ("given", "external"),
    [
        ({}, ()),
        ({"interaction_store": " Dynamodb "}, ("dynamodb",)),
        ({"interaction_store_dual_write": "scylla"}, ("scylla",)),
        ({"interaction_store": "scylla", "interaction_store_dual_write": "pg"}, ("scylla",)),
        ({"interaction_store": "scylla", "interaction_store_dual_write": "cassandra"}, ("scylla", "cassandra")),
    ],
)
def test_the_stores_beside_postgres_are_written(given: dict[str, Any], external: tuple[str, ...]) -> None:
    assert InteractionStoreSettings.model_validate(given).external_stores == external


def test_keyspaces_is_encrypted_and_signed_unless_it_has_a_password(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.touch()
    base = {"interaction_store": "keyspaces", "keyspaces_region": "eu-west-1", "keyspaces_ca_file": ca_file}
    signed = InteractionStoreSettings.model_validate(base).cql(StoreBackend.KEYSPACES)
    named = {**base, "keyspaces_username": "u", "keyspaces_password": "p"}

    assert (signed.contact_points, signed.port) == (("cassandra.eu-west-1.amazonaws.com",), 9142)
    assert (signed.is_encrypted, signed.signing_region) == (True, "eu-west-1")
    assert InteractionStoreSettings.model_validate(named).cql(StoreBackend.KEYSPACES).signing_region is None


@pytest.mark.parametrize("settings", [Api, Worker, Publisher])
def test_no_check_of_a_tier_replaces_another_of_the_same_name(settings: type[BaseSettings]) -> None:
    kinds = [kind for kind in settings.__mro__ if kind.__module__.startswith("kaireon")]
    decorators = settings.__pydantic_decorators__
    checks = {*decorators.field_validators, *decorators.model_validators}
    defined = Counter(name for kind in kinds for name in vars(kind) if name in checks)

    assert set(defined) == checks
    assert [name for name, count in defined.items() if count > 1] == []
