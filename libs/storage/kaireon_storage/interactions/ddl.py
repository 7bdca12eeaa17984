"""The commands that make the table of an interaction store."""

from __future__ import annotations

import shlex

from kaireon_runtime.store_settings import CqlStore, DynamoDbStore, InteractionStoreSettings, StoreBackend

CQL_TABLE = "interactions"
DEFAULT_REPLICAS = 3
_DEFAULT_DATACENTER = "datacenter1"
_COLUMNS = f"""CREATE TABLE IF NOT EXISTS {{keyspace}}.{CQL_TABLE} (
    tenant_id uuid,
    customer_id text,
    occurred_us bigint,
    id text,
    kind text,
    outcome_key text,
    classification text,
    direction text,
    offer_id uuid,
    creative_id uuid,
    channel_id uuid,
    placement_id uuid,
    recommendation_id uuid,
    rank int,
    score double,
    conversion_value double,
    details blob,
    PRIMARY KEY ((tenant_id, customer_id), occurred_us, id)
) WITH CLUSTERING ORDER BY (occurred_us DESC, id DESC)"""
_KEYSPACES_OPTIONS = (
    " AND CUSTOM_PROPERTIES = {'capacity_mode': {'throughput_mode': 'PAY_PER_REQUEST'}, "
    "'point_in_time_recovery': {'status': 'enabled'}, 'ttl': {'status': 'enabled'}}"
)


def ddl_of(settings: InteractionStoreSettings, backend: StoreBackend, replicas: int = DEFAULT_REPLICAS) -> str:
    """Return what to run, as text: `aws` commands or CQL."""
    if backend is StoreBackend.PG:
        return "kaireon migrate"
    if backend is StoreBackend.DYNAMODB:
        return dynamodb_commands(settings.dynamodb)
    return cql_script(settings.cql(backend), replicas)


def dynamodb_commands(store: DynamoDbStore) -> str:
    """Return the two commands, each on one line."""
    where = ([f"--region={store.region}"] if store.region else []) + (
        [f"--endpoint-url={store.endpoint_url}"] if store.endpoint_url else []
    )
    create = [
        *("aws", "dynamodb", "create-table", f"--table-name={store.table}"),
        "--attribute-definitions",
        "AttributeName=tenant_customer,AttributeType=S",
        "AttributeName=occurred_id,AttributeType=S",
        "--key-schema",
        "AttributeName=tenant_customer,KeyType=HASH",
        "AttributeName=occurred_id,KeyType=RANGE",
        "--billing-mode=PAY_PER_REQUEST",
        *where,
    ]
    expire = [
        *("aws", "dynamodb", "update-time-to-live", f"--table-name={store.table}"),
        "--time-to-live-specification=Enabled=true,AttributeName=expires_at",
        *where,
    ]
    return f"{shlex.join(create)}\n{shlex.join(expire)}"


def cql_script(store: CqlStore, replicas: int = DEFAULT_REPLICAS) -> str:
    """Return the statements as a script."""
    return "\n".join(f"{statement};" for statement in cql_statements(store, replicas))


def cql_statements(store: CqlStore, replicas: int = DEFAULT_REPLICAS) -> tuple[str, str]:
    """Return the statements for the keyspace and the table."""
    is_managed = store.backend is StoreBackend.KEYSPACES
    datacenter = store.local_datacenter or _DEFAULT_DATACENTER
    replication = (
        "{'class': 'SingleRegionStrategy'}"
        if is_managed
        else f"{{'class': 'NetworkTopologyStrategy', '{datacenter}': {replicas}}}"
    )
    keyspace = f"CREATE KEYSPACE IF NOT EXISTS {store.keyspace} WITH replication = {replication}"
    table = _COLUMNS.format(keyspace=store.keyspace) + (_KEYSPACES_OPTIONS if is_managed else "")
    return keyspace, table
