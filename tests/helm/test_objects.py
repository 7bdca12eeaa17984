"""What single objects must be beyond their schema: migrations, cron, poolers, scalers, policies, and overrides."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from deploy.chart.files import GENERATED
from kaireon_cron.schedule import read_schedule
from tests.helm.rendering import CHART, RELEASE, ROOT, Object, find, of_kind, pod_of, render

HOOK = "helm.sh/hook"


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_what_is_made_from_elsewhere_is_current(path: Any) -> None:
    assert path.read_text(encoding="utf-8") == GENERATED[path](), "run `python -m deploy.chart`"


def test_every_value_is_in_the_readme_and_in_the_schema() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    readme = (CHART / "README.md").read_text()
    assert set(values) | {"postgresExternalReplicas", "eventbus", "interactionStore", "global"} == set(
        schema["properties"]
    )
    for key in values:
        assert f"| `{key}" in readme


def test_schedules_are_those_of_the_cron_tier() -> None:
    schedule = read_schedule()
    values = yaml.safe_load((CHART / "values.yaml").read_text())["cron"]
    assert values["deadlineSeconds"] == schedule.deadline_seconds
    assert values["schedules"] == {
        job.values_name: {"enabled": job.enabled, "schedule": job.schedule} for job in schedule.jobs.values()
    }


@pytest.mark.parametrize("topology", ["base", "large-optional"])
def test_a_cron_job_runs_the_job_of_its_name(topology: str) -> None:
    known = set(read_schedule().jobs)
    for each in of_kind(render(topology), "CronJob"):
        (container,) = each["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        (name,) = container["args"]
        assert name in known
        assert each["metadata"]["name"] == f"{RELEASE}-cron-{name}"
        assert container["image"] == "kaireon-cron:0.1.0"


def test_the_reaper_is_a_key_and_off() -> None:
    names = {each["metadata"]["name"] for each in of_kind(render("base"), "CronJob")}
    assert len(names) == 6
    assert f"{RELEASE}-cron-outbox-reaper" not in names
    assert len(of_kind(render("base", "cron.schedules.outboxReaper.enabled=true"), "CronJob")) == 7
    assert len(of_kind(render("base", "cron.schedules.cleanup.enabled=false"), "CronJob")) == 5
    assert of_kind(render("base", "cron.enabled=false"), "CronJob") == []


def test_migrations_expand_before_and_contract_after() -> None:
    jobs = {
        each["metadata"]["name"]: (each["metadata"]["annotations"][HOOK], pod_args(each))
        for each in of_kind(render("large"), "Job")
    }
    assert jobs == {
        f"{RELEASE}-migrate-expand": ("pre-install,pre-upgrade", ["migrate", "--phase", "expand"]),
        f"{RELEASE}-migrate-contract": ("post-install,post-upgrade", ["migrate", "--phase", "contract"]),
    }
    kept = [each["metadata"]["name"] for each in of_kind(render("large", "migrations.contract=false"), "Job")]
    assert kept == [f"{RELEASE}-migrate-expand"]
    assert of_kind(render("large", "migrations.enabled=false"), "Job") == []


def pod_args(job: Object) -> list[str]:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return list(container["args"])


def test_beside_an_embedded_server_the_migration_comes_with_the_release() -> None:
    """A hook would wait for a server that is made after it."""
    (job,) = of_kind(render("base"), "Job")
    assert job["metadata"]["name"] == f"{RELEASE}-migrate-1"
    assert HOOK not in job["metadata"].get("annotations", {})
    assert pod_args(job) == ["migrate"]


@pytest.mark.parametrize(("topology", "sets"), [("trial", ("postgres.mode=external",)), ("external-secrets", ())])
def test_a_migration_reads_nothing_that_comes_after_it(topology: str, sets: tuple[str, ...]) -> None:
    """Before the first installation there is only what hooks of lower weight have made."""
    objects = render(topology, *sets)
    hooks = [each for each in objects if HOOK in each["metadata"].get("annotations", {})]
    made = {each["metadata"]["name"] for each in hooks if each["kind"] in {"Secret", "ExternalSecret"}}
    jobs = [each for each in hooks if each["kind"] == "Job"]
    assert len(jobs) == 2
    for job in jobs:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        references = [each["valueFrom"] for each in container["env"] if "valueFrom" in each]
        assert {each["secretKeyRef"]["name"] for each in references} == made
        assert job["spec"]["template"]["spec"]["serviceAccountName"] == "default"


def test_a_pooler_starts_before_its_tier_and_ends_after_it() -> None:
    for each in of_kind(render("large"), "Deployment"):
        (pooler,) = each["spec"]["template"]["spec"]["initContainers"]
        assert (pooler["name"], pooler["restartPolicy"]) == ("pgbouncer", "Always")
    for each in of_kind(render("large", "pgbouncer.enabled=false"), "Deployment"):
        assert "initContainers" not in each["spec"]["template"]["spec"]
    assert find(render("base"), "Deployment", "api")["spec"]["template"]["spec"]["initContainers"], "on by default"


def test_poolers_make_sure_of_the_server() -> None:
    ini = find(render("external", "pgbouncer.enabled=true"), "ConfigMap", "pgbouncer")["data"]["pgbouncer.ini"]
    assert "* = host=db.example.internal port=5433" in ini.splitlines()
    assert "server_tls_sslmode = verify-full" in ini.splitlines()
    assert "server_tls_ca_file = /etc/kaireon/postgres-ca/ca.crt" in ini.splitlines()
    assert "pool_mode = transaction" in ini.splitlines()


@pytest.mark.parametrize(("setting", "expected"), [("worker.replicas=0", 0), ("defaults.replicas=0", 2)])
def test_zero_is_a_value(setting: str, expected: int) -> None:
    assert find(render("base", setting), "Deployment", "worker")["spec"]["replicas"] == expected


def test_false_and_empty_are_values() -> None:
    assert find(render("base"), "PodDisruptionBudget", "api")
    assert of_kind(render("base", "api.pdb.enabled=false"), "PodDisruptionBudget") == []
    assert find(render("base", "worker.pdb.enabled=true"), "PodDisruptionBudget", "worker")["spec"]["minAvailable"] == 1
    objects = render("base", "defaults.nodeSelector.pool=small", "worker.nodeSelector.pool=large")
    pools = {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]["nodeSelector"]["pool"]
        for each in of_kind(objects, "Deployment")
    }
    assert pools == {f"{RELEASE}-api": "small", f"{RELEASE}-worker": "large", f"{RELEASE}-outbox-publisher": "small"}


@pytest.mark.parametrize("mode", ["embedded", "external"])
def test_every_default_reaches_every_pod(mode: str) -> None:
    sets = (
        "defaults.podAnnotations.mark=annotation",
        "defaults.podLabels.mark=label",
        "defaults.extraEnv[0].name=MARK",
        "defaults.extraEnv[0].value=variable",
        "defaults.extraVolumes[0].name=mark",
        "defaults.extraVolumes[0].emptyDir.medium=Memory",
        "defaults.extraVolumeMounts[0].name=mark",
        "defaults.extraVolumeMounts[0].mountPath=/mark",
        "defaults.nodeSelector.mark=node",
        "defaults.tolerations[0].key=mark",
        "defaults.affinity.nodeAffinity.mark=affinity",
        "defaults.priorityClassName=mark",
        "defaults.terminationGracePeriodSeconds=77",
        "defaults.topologySpreadConstraints[0].topologyKey=mark",
        "defaults.topologySpreadConstraints[0].maxSkew=2",
        "defaults.topologySpreadConstraints[0].whenUnsatisfiable=ScheduleAnyway",
    )
    more = (f"postgres.mode={mode}", "mlWorker.enabled=true", "config.FLOW_STREAMING_ENABLED=true")
    objects = render("base", *sets, *more, "config.EVENT_PUBLISHER=kafka", "kafka.brokers=k:9092")
    pods = [pod for each in objects if each["kind"] != "StatefulSet" and (pod := pod_of(each)) is not None]
    assert len(pods) == 5 + 6 + (1 if mode == "embedded" else 2)
    for pod in pods:
        spec, (container,) = pod["spec"], pod["spec"]["containers"]
        assert pod["metadata"]["annotations"]["mark"] == "annotation"
        assert pod["metadata"]["labels"]["mark"] == "label"
        assert {"name": "MARK", "value": "variable"} in container["env"]
        assert {"name": "mark", "emptyDir": {"medium": "Memory"}} in spec["volumes"]
        assert {"name": "mark", "mountPath": "/mark"} in container["volumeMounts"]
        assert (spec["nodeSelector"], spec["tolerations"]) == ({"mark": "node"}, [{"key": "mark"}])
        assert spec["affinity"] == {"nodeAffinity": {"mark": "affinity"}}
        assert (spec["priorityClassName"], spec["terminationGracePeriodSeconds"]) == ("mark", 77)
        (spread,) = spec["topologySpreadConstraints"]
        assert (spread["topologyKey"], spread["maxSkew"]) == ("mark", 2)


def test_a_changed_setting_makes_new_pods() -> None:
    def checksum(*sets: str) -> str:
        return str(
            find(render("base", *sets), "Deployment", "api")["spec"]["template"]["metadata"]["annotations"][
                "checksum/config"
            ]
        )

    assert checksum() == checksum("networkPolicy.enabled=false")
    assert checksum() != checksum("config.LOG_LEVEL=debug")


def test_only_what_is_needed_is_let_in() -> None:
    objects = render("base", "mlWorker.enabled=true")
    policies = {
        each["metadata"]["name"].removeprefix(f"{RELEASE}-"): each["spec"] for each in of_kind(objects, "NetworkPolicy")
    }
    assert policies["deny-all"] == {
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "kaireon", "app.kubernetes.io/instance": RELEASE}},
        "policyTypes": ["Ingress", "Egress"],
    }
    doors = {name: spec["ingress"] for name, spec in policies.items() if "ingress" in spec}
    assert {name: door[0]["ports"][0]["port"] for name, door in doors.items()} == {
        "api": 3000,
        "worker": 9464,
        "outbox-publisher": 9465,
        "ml-worker": 8000,
        "postgres": 5432,
        "redis": 6379,
    }
    # Pods of this release alone.
    for name in ("ml-worker", "postgres", "redis"):
        assert doors[name][0]["from"] == [{"podSelector": policies["deny-all"]["podSelector"]}]


def test_tiers_reach_the_ports_of_their_servers() -> None:
    ports = [
        each["port"]
        for rule in find(render("large"), "NetworkPolicy", "egress")["spec"]["egress"][2:]
        for each in rule["ports"]
    ]
    assert ports == [443, 5432, 6379, 6380, 9092, 9200]
    assert of_kind(render("large", "networkPolicy.enabled=false"), "NetworkPolicy") == []


def test_mcp_is_at_the_api_or_apart() -> None:
    for topology, is_apart in (("large", False), ("large-mcp", True)):
        objects = render(topology)
        given = find(objects, "ConfigMap", "config")["data"]
        assert given["MCP_ENABLED"] == str(not is_apart).lower()
        assert f"{RELEASE}-{'mcp' if is_apart else 'api'}:*" in given["MCP_ALLOWED_HOSTS"].split(",")
        names = {variable["name"] for variable in environment_of_api(objects)}
        assert "MCP_ENABLED" in names
        assert (
            len([each for each in of_kind(objects, "Deployment") if each["metadata"]["name"] == f"{RELEASE}-mcp"])
            == is_apart
        )
    apart = find(render("large-mcp"), "Deployment", "mcp")["spec"]["template"]["spec"]
    assert "initContainers" not in apart, "it asks the API, not Postgres"
    assert {each["name"] for each in apart["containers"][0]["env"]} >= {"KAIREON_API_URL", "MCP_PORT"}


def test_the_pod_of_the_command_waits_beside_the_tiers_with_what_commands_read() -> None:
    objects = render("large-optional")
    pod = find(objects, "Deployment", "cli")["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert (container["command"], container["image"]) == (["sleep", "infinity"], "kaireon-cli:0.1.0")
    assert {each["name"] for each in container["env"]} >= {
        *("DATABASE_URL", "PGPASSWORD", "REDIS_URL", "CELERY_BROKER_URL", "API_KEY_PEPPER", "KAIREON_API_URL"),
        *("EVENT_PUBLISHER", "KAFKA_BROKERS", "INTERACTION_STORE", "DYNAMODB_TABLE", "OPENSEARCH_URL"),
    }
    # Past the pooler: it migrates too. And what the tiers may reach, it may.
    assert "initContainers" not in pod["spec"]
    assert pod["metadata"]["labels"]["app.kubernetes.io/instance"] == RELEASE
    assert f"{RELEASE}-cli" not in {each["metadata"]["name"] for each in of_kind(render("large"), "Deployment")}


def environment_of_api(objects: list[Object]) -> list[Object]:
    (container,) = find(objects, "Deployment", "api")["spec"]["template"]["spec"]["containers"]
    return list(container["env"])


def test_prometheus_asks_where_metrics_are_served() -> None:
    objects = render("large")
    (monitor,) = of_kind(objects, "ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    served = {
        (port["name"], each["metadata"]["name"])
        for each in of_kind(objects, "Service")
        if wanted <= each["metadata"]["labels"].items()
        for port in each["spec"]["ports"]
    }
    assert served == {
        ("http", f"{RELEASE}-api"),
        ("metrics", f"{RELEASE}-worker"),
        ("metrics", f"{RELEASE}-outbox-publisher"),
    }
    assert {each["port"]: each["path"] for each in monitor["spec"]["endpoints"]} == {
        "http": "/api/metrics",
        "metrics": "/metrics",
        "mcp": "/metrics",
    }


def test_alerts_are_those_of_the_catalogue() -> None:
    (rule,) = of_kind(render("large"), "PrometheusRule")
    assert rule["spec"] == yaml.safe_load((ROOT / "helm/files/rules.yaml").read_text())


def test_each_dashboard_is_a_config_map_for_grafana() -> None:
    files = {path.name for path in (CHART / "dashboards").glob("*.json")}
    found = [
        each for each in of_kind(render("large"), "ConfigMap") if "grafana_dashboard" in each["metadata"]["labels"]
    ]
    assert {name for each in found for name in each["data"]} == files
    for each in found:
        for text in each["data"].values():
            json.loads(text)


def test_every_pod_is_labelled_with_its_component() -> None:
    for each in render("large-optional"):
        assert each["metadata"]["labels"]["app.kubernetes.io/component"]
        if (pod := pod_of(each)) is not None:
            assert pod["metadata"]["labels"]["app.kubernetes.io/instance"] == RELEASE
