"""Each tier is given variables that it reads, all that it needs, and no secret of another tier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.chart.environment import tiers
from kaireon_cli.settings import CommandSettings
from tests.helm.rendering import TOPOLOGIES, Object, find, of_kind, pod_of, render

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

CLASSES: dict[str, type[BaseSettings]] = {**tiers(), "migrations": CommandSettings}
# Read by libpq, in every process that reaches Postgres.
OTHERS = {"PGPASSWORD"}
# What the Secret holds; any other key is a text.
SECRET = {
    "API_KEY_PEPPER": "p" * 48,
    "REDIS_URL": "rediss://:password@redis.example.internal:6380/0",
    "DATABASE_REPLICA_URLS": "postgresql://kaireon@replica.example.internal/kaireon",
}
BUSES = {
    "redis": (),
    "kafka": ("kafka.brokers=k:9092",),
    "redpanda": ("kafka.brokers=k:9092",),
    "msk": ("msk.brokers=k:9098", "msk.region=eu-central-1"),
    "kinesis": ("kinesis.streamName=events", "kinesis.region=eu-central-1"),
    "eventbridge": ("eventbridge.busName=events", "eventbridge.region=eu-central-1"),
    "pulsar": ("pulsar.url=pulsar://p:6650",),
}
STORES = {
    "pg": (),
    "dynamodb": ("dynamodb.table=interactions", "dynamodb.region=eu-central-1"),
    "scylla": ("scylla.contactPoints=s-0", "scylla.keyspace=kaireon"),
    "cassandra": ("cassandra.contactPoints=c-0", "cassandra.keyspace=kaireon"),
    "keyspaces": ("keyspaces.region=eu-central-1", "keyspaces.keyspace=kaireon"),
}


def environment(objects: list[Object], pod: Object) -> dict[str, str]:
    """Return the environment of a pod's tier, as its container would have it."""
    (container,) = pod["spec"]["containers"]
    maps = {each["metadata"]["name"]: each["data"] for each in of_kind(objects, "ConfigMap")}
    found: dict[str, str] = {}
    for variable in container["env"]:
        source = variable.get("valueFrom", {})
        if (reference := source.get("configMapKeyRef")) is not None:
            found[variable["name"]] = maps[reference["name"]][reference["key"]]
        elif (reference := source.get("secretKeyRef")) is not None:
            found[variable["name"]] = SECRET.get(reference["key"], "a secret")
        else:
            found[variable["name"]] = variable["value"]
    assert len(found) == len(container["env"]), "a variable is there twice"
    return found


def our_pods(objects: list[Object]) -> list[tuple[str, Object]]:
    """Return (tier, pod) for every pod of ours."""
    pods = [pod for each in objects if (pod := pod_of(each)) is not None]
    named = [(pod["metadata"]["labels"]["app.kubernetes.io/component"], pod) for pod in pods]
    return [(tier, pod) for tier, pod in named if tier not in {"postgres", "redis"}]


def accept(tier: str, given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> BaseSettings:
    """Return the tier's settings of an environment; raises as the tier would refuse it."""
    with monkeypatch.context() as patched:
        for name in CLASSES[tier].model_fields:
            patched.delenv(name.upper(), raising=False)
        for name, value in given.items():
            patched.setenv(name, value)
        return CLASSES[tier]()


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_tier_reads_what_it_is_given(topology: str) -> None:
    objects = render(topology)
    for tier, pod in our_pods(objects):
        names = {name for name in environment(objects, pod) if not name.startswith("KAIREON_SECRET_")}
        assert {name.lower() for name in names - OTHERS} <= set(CLASSES[tier].model_fields), tier


@pytest.mark.parametrize("topology", sorted(set(TOPOLOGIES) - {"overlay"}))
def test_a_tier_starts_with_what_it_is_given(topology: str, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = render(topology)
    for tier, pod in our_pods(objects):
        accept(tier, environment(objects, pod), monkeypatch)


@pytest.mark.parametrize("bus", BUSES)
def test_every_bus_is_one_that_the_publisher_starts_with(bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = render("base", "strict=true", f"config.EVENT_PUBLISHER={bus}", *BUSES[bus])
    pod = find(objects, "Deployment", "outbox-publisher")["spec"]["template"]
    given = environment(objects, pod)
    assert given["EVENT_PUBLISHER"] == bus
    accept("outbox-publisher", given, monkeypatch)


@pytest.mark.parametrize("bus", [bus for bus in BUSES if bus not in {"redis", "eventbridge"}])
def test_every_broker_is_one_that_the_stream_tier_starts_with(bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = (f"config.EVENT_PUBLISHER={bus}", "config.FLOW_STREAMING_ENABLED=true", *BUSES[bus])
    objects = render("base", "strict=true", *sets)
    given = environment(objects, find(objects, "Deployment", "stream")["spec"]["template"])
    assert (given["FLOW_STREAMING_ENABLED"], given["STREAM_SOURCE"]) == ("true", bus)
    accept("stream", given, monkeypatch)


@pytest.mark.parametrize("store", STORES)
def test_every_store_is_one_that_the_tiers_start_with(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = render("base", "strict=true", f"config.INTERACTION_STORE={store}", *STORES[store])
    for tier in ("api", "worker", "outbox-publisher"):
        given = environment(objects, find(objects, "Deployment", tier)["spec"]["template"])
        assert given["INTERACTION_STORE"] == store
        accept(tier, given, monkeypatch)


def test_secrets_go_to_the_tiers_that_read_them() -> None:
    objects = render("external")
    given = {tier: set(environment(objects, pod)) for tier, pod in our_pods(objects)}
    assert {tier for tier, names in given.items() if "API_KEY_PEPPER" in names} == {"api"}
    assert {tier for tier, names in given.items() if "KAIREON_SECRET_PRICES_TOKEN" in names} == {"api", "worker"}
    assert {tier for tier, names in given.items() if "PGPASSWORD" in names} == set(given)


def test_the_pooler_stands_between_where_it_is_on() -> None:
    pooled = render("large")
    direct = render("large", "pgbouncer.enabled=false")
    for tier in ("api", "worker", "ml-worker", "outbox-publisher"):
        through = environment(pooled, find(pooled, "Deployment", tier)["spec"]["template"])
        past = environment(direct, find(direct, "Deployment", tier)["spec"]["template"])
        assert through["DATABASE_URL"] == "postgresql://kaireon@127.0.0.1:6432/kaireon?sslmode=disable"
        assert through["DATABASE_POOLER"] == "transaction-prepared"
        assert through["DATABASE_DIRECT_URL"] == past["DATABASE_URL"]
        assert past["DATABASE_URL"] == "postgresql://kaireon@primary.example.internal:5432/kaireon?sslmode=require"
        assert not {"DATABASE_POOLER", "DATABASE_DIRECT_URL"} & set(past)


def test_a_cluster_comes_with_another_server_for_the_queues() -> None:
    objects = render("large")
    given = environment(objects, find(objects, "Deployment", "worker")["spec"]["template"])
    assert given["REDIS_URL"].startswith("redis+cluster://")
    assert given["CELERY_BROKER_URL"] == "redis://queues.example.internal:6380/0"


def test_sentinels_are_a_value() -> None:
    url = "redis+sentinel://s-0.example.internal:26379/primary/0"
    objects = render("base", "redis.mode=external", f"redis.external.url={url}")
    given = environment(objects, find(objects, "Deployment", "worker")["spec"]["template"])
    assert given["REDIS_URL"] == url
    assert "CELERY_BROKER_URL" not in given, "the queues may be there too"


def test_the_ml_worker_is_named_when_it_is_there() -> None:
    for is_there in (True, False):
        objects = render("base", f"mlWorker.enabled={str(is_there).lower()}")
        for tier, pod in our_pods(objects):
            if tier in {"api", "worker", "cron"}:
                url = environment(objects, pod).get("ML_WORKER_URL")
                assert url == ("http://shop-ml-worker:8000" if is_there else None), tier


def test_jobs_are_never_run_in_the_api() -> None:
    objects = render("base")
    assert environment(objects, find(objects, "Deployment", "api")["spec"]["template"])["WORKER_INPROCESS"] == "0"
