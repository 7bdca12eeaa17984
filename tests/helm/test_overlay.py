"""values-large.yaml comes to what its tables say, row by row."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest
import yaml

from tests.helm import overlay_tables as tables
from tests.helm.rendering import (
    CHART,
    RELEASE,
    ROOT,
    Object,
    Refused,
    containers_of,
    find,
    flags,
    helm,
    of_kind,
    pod_of,
    render,
)

BASE = cast("Object", yaml.safe_load((CHART / "values.yaml").read_text()))
LARGE = cast("Object", yaml.safe_load((CHART / "values-large.yaml").read_text()))


def value(values: Object, path: str) -> Any:
    """Return what stands at a dotted path. Raises `KeyError` where nothing does."""
    found: Any = values
    for part in path.split("."):
        found = found[part]
    return found


def config(objects: list[Object]) -> dict[str, str]:
    return cast("dict[str, str]", find(objects, "ConfigMap", "config")["data"])


def resources(pod: Object, side: str) -> tuple[str, str]:
    (container,) = pod["spec"]["containers"]
    found = container["resources"][side]
    return found["memory"], found["cpu"]


@pytest.mark.parametrize("tier", tables.TIERS, ids=lambda tier: tier.key)
def test_tier_is_as_large_as_its_row(tier: tables.Tier) -> None:
    topology = "large-mcp" if tier.key == "mcp" else "large-optional"
    objects = render(topology, "outboxPublisher.keda.enabled=false")
    deployment = find(objects, "Deployment", tier.deployment)
    pod = deployment["spec"]["template"]
    assert resources(pod, "requests") == tier.requests
    if tier.limits is not None:
        assert resources(pod, "limits") == tier.limits
    if tier.scaler is None:
        assert deployment["spec"]["replicas"] == tier.least
        return
    # Who scales it counts its pods, not an upgrade.
    assert "replicas" not in deployment["spec"]
    scaler = find(objects, tier.scaler, tier.deployment)["spec"]
    names = ("minReplicas", "maxReplicas") if tier.key == "api" else ("minReplicaCount", "maxReplicaCount")
    assert tuple(scaler[name] for name in names) == (tier.least, tier.most)


@pytest.mark.parametrize("tier", [each for each in tables.TIERS if each.scaler], ids=lambda tier: tier.key)
def test_without_its_scaler_a_tier_has_the_least_of_its_row(tier: tables.Tier) -> None:
    switch = "autoscaling" if tier.key == "api" else "keda"
    objects = render("large", f"{tier.key}.{switch}.enabled=false")
    assert find(objects, "Deployment", tier.deployment)["spec"]["replicas"] == tier.least
    assert f"{RELEASE}-{tier.deployment}" not in {
        each["metadata"]["name"] for each in of_kind(objects, cast("str", tier.scaler))
    }


def test_api_has_nodes_of_its_own_and_is_spread_strictly_over_zones() -> None:
    spec = find(render("large"), "Deployment", "api")["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == tables.NODE_GROUP
    ((key, of),) = tables.NODE_GROUP.items()
    assert spec["tolerations"] == [{"key": key, "operator": "Equal", "value": of, "effect": "NoSchedule"}]
    zones = [each for each in spec["topologySpreadConstraints"] if each["topologyKey"] == "topology.kubernetes.io/zone"]
    assert [(each["whenUnsatisfiable"], each["maxSkew"]) for each in zones] == [("DoNotSchedule", 1)]


def test_cron_is_six_jobs_none_beside_itself() -> None:
    jobs = of_kind(render("large"), "CronJob")
    assert sorted(each["metadata"]["name"] for each in jobs) == sorted(
        f"{RELEASE}-cron-{name}" for name in tables.CRON_JOBS
    )
    for each in jobs:
        assert each["spec"]["concurrencyPolicy"] == "Forbid"
        assert each["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 600
        pod = each["spec"]["jobTemplate"]["spec"]["template"]
        assert resources(pod, "requests") == tables.CRON_REQUESTS


def test_a_schedule_is_independent_of_the_others() -> None:
    jobs = of_kind(render("large", "cron.schedules.cleanup.schedule=1 2 3 4 5"), "CronJob")
    schedules = {each["metadata"]["name"].removeprefix(f"{RELEASE}-cron-"): each["spec"]["schedule"] for each in jobs}
    assert schedules.pop("cleanup") == "1 2 3 4 5"
    assert schedules == {
        each["metadata"]["name"].removeprefix(f"{RELEASE}-cron-"): each["spec"]["schedule"]
        for each in of_kind(render("large"), "CronJob")
        if not each["metadata"]["name"].endswith("-cleanup")
    }


def test_three_publishers_of_which_two_stay_poll_each_second() -> None:
    objects = render("large")
    budget = find(objects, "PodDisruptionBudget", "outbox-publisher")["spec"]
    assert budget["minAvailable"] == tables.OUTBOX_MIN_AVAILABLE
    assert config(objects)["OUTBOX_POLL_INTERVAL_MS"] == tables.OUTBOX_POLL_MS
    assert int(tables.OUTBOX_POLL_MS) < int(config(render("base"))["OUTBOX_POLL_INTERVAL_MS"]), "the overlay is faster"


@pytest.mark.parametrize(
    ("is_enabled", "bus", "is_there"),
    [("true", "kafka", True), ("false", "kafka", False), ("true", "redis", False), ("true", "eventbridge", False)],
)
def test_stream_needs_the_switch_and_a_real_broker(is_enabled: str, bus: str, is_there: bool) -> None:
    sets = ("strict=false", f"config.FLOW_STREAMING_ENABLED={is_enabled}", f"eventbus.backend={bus}")
    names = {each["metadata"]["name"] for each in of_kind(render("large", *sets), "Deployment")}
    assert (f"{RELEASE}-stream" in names) is is_there


def test_stream_and_mcp_are_gated_off() -> None:
    names = {each["metadata"]["name"] for each in of_kind(render("overlay"), "Deployment")}
    assert names == {f"{RELEASE}-{name}" for name in ("api", "worker", "ml-worker", "outbox-publisher")}


@pytest.mark.parametrize(("path", "expected"), tables.EXPECTATIONS, ids=[path for path, _ in tables.EXPECTATIONS])
def test_datastores_are_the_expected_ones(path: str, expected: object) -> None:
    assert value(LARGE, path) == expected


def test_no_server_is_made_and_what_is_kept_is_used() -> None:
    objects = render("large")
    assert of_kind(objects, "StatefulSet") == []
    assert config(objects)["SEARCH_INDEX"] == "opensearch"
    assert config(objects)["OPENSEARCH_URL"] == "https://search.example.internal:9200"
    assert config(objects)["DYNAMODB_TABLE"] == "kaireon_interactions"
    assert config(objects)["KAFKA_BROKERS"] == "k-0.example.internal:9092,k-1.example.internal:9092"


@pytest.mark.parametrize("alias", tables.ALIASES, ids=lambda alias: alias.path)
def test_alias_is_the_overlay_s_only_and_has_its_default(alias: tables.Alias) -> None:
    assert alias.path.split(".", maxsplit=1)[0] not in BASE
    assert value(LARGE, alias.path) == alias.default
    assert type(value(LARGE, alias.path)) is alias.kind
    # Over the base alone they are allowed too.
    render("base", "eventbus.enabled=false", "eventbus.backend=kafka", "interactionStore.backend=pg")


def test_aliases_stand_where_the_pages_say() -> None:
    lines = (CHART / "values-large.yaml").read_text().splitlines()
    for number, text in tables.LINES.items():
        assert lines[number - 1] == text
    for alias in tables.ALIASES:
        assert lines[alias.line - 1].strip().startswith(f"{alias.path.split('.')[-1]}: ")


@pytest.mark.parametrize("alias", [each for each in tables.ALIASES if each.takes], ids=lambda alias: alias.path)
def test_alias_takes_what_its_row_says_and_nothing_else(alias: tables.Alias) -> None:
    variable = {"eventbus.backend": "EVENT_PUBLISHER", "interactionStore.backend": "INTERACTION_STORE"}[alias.path]
    for name in alias.takes:
        assert config(render("overlay", f"{alias.path}={name}"))[variable] == name
    with pytest.raises(Refused, match=rf'{re.escape(alias.path)} is "rabbitmq", which is none: set it to one of '):
        render("overlay", f"{alias.path}=rabbitmq")


def test_a_bus_that_is_off_is_redis() -> None:
    assert config(render("overlay", "eventbus.enabled=false"))["EVENT_PUBLISHER"] == "redis"


@pytest.mark.parametrize("name", tables.EVENT_PUBLISHERS)
def test_the_base_chooses_the_bus_by_its_variable(name: str) -> None:
    assert config(render("base", f"config.EVENT_PUBLISHER={name}"))["EVENT_PUBLISHER"] == name


def test_what_the_overlay_does_not_list_is_as_in_the_base() -> None:
    """With values.yaml named before it or not; and a value that only the base has holds."""
    alone = helm("template", RELEASE, str(CHART), "--namespace=decisions", *flags(("values-large.yaml",), ()))
    assert list(yaml.safe_load_all(alone)) == render("overlay")
    assert "migrations" not in LARGE
    deadline = BASE["migrations"]["deadlineSeconds"]
    assert [job["spec"]["activeDeadlineSeconds"] for job in of_kind(render("large"), "Job")] == [deadline, deadline]


def test_its_numbers_are_called_targets_and_measured_ones_are_kept() -> None:
    texts = [CHART / "values-large.yaml", ROOT / "docs/howto/deploy-kubernetes.md"]
    assert all("design targets, not benchmarked" in text.read_text() for text in texts)
    assert len(list((ROOT / "perf/baselines").glob("*.json"))) >= 3
    assert (
        "with `BASE_URL` and `API_KEY` (of an editor) against an installation" in (ROOT / "perf/README.md").read_text()
    )


def test_nobody_asks_for_a_gpu() -> None:
    for topology in ("large", "large-optional", "large-mcp"):
        for each in render(topology):
            for container in containers_of(pod) if (pod := pod_of(each)) is not None else []:
                asked = {name for side in container["resources"].values() for name in side}
                assert asked == {"cpu", "memory"}


def test_the_chart_makes_no_infrastructure() -> None:
    """No topic, table, keyspace, server or volume: kinds of pods, of who reaches them, and of operators that watch."""
    assert {each["kind"] for each in render("large-optional")} == tables.KINDS


def test_replicas_are_advice() -> None:
    two, none = render("large"), render("large", "postgresExternalReplicas=0")
    annotation = "kaireon.ai/postgres-external-replicas"
    assert find(two, "ConfigMap", "config")["metadata"]["annotations"] == {annotation: "2"}
    assert find(none, "ConfigMap", "config")["metadata"]["annotations"] == {annotation: "0"}
    for before, after in zip(two, none, strict=True):
        if before["kind"] != "ConfigMap":
            assert before == after


def test_an_upgrade_from_the_base_changes_nothing_that_cannot_change() -> None:
    """Selectors of Deployments, and everything that stays keeps its kind and API version."""
    base, large = render("base"), render("large")
    before = {(each["kind"], each["metadata"]["name"]): each for each in base}
    after = {(each["kind"], each["metadata"]["name"]): each for each in large}
    kept = before.keys() & after.keys()
    assert {name for kind, name in kept if kind == "Deployment"} == {
        f"{RELEASE}-{name}" for name in ("api", "worker", "outbox-publisher")
    }
    for key in kept:
        old, new = before[key], after[key]
        assert old["apiVersion"] == new["apiVersion"]
        if key[0] == "Deployment":
            assert old["spec"]["selector"] == new["spec"]["selector"]
        if key[0] == "Service":
            assert old["spec"].get("clusterIP") == new["spec"].get("clusterIP")
            assert old["spec"]["selector"] == new["spec"]["selector"]
    assert {kind for kind, _ in before.keys() - after.keys()} <= {"StatefulSet", "Service", "NetworkPolicy", "Job"}
