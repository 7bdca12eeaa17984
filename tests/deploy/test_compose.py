"""compose.yaml against the compose specification, the image, and the settings of the tiers it starts."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import compose_spec
import pytest
import yaml
from pydantic_settings import BaseSettings

from kaireon_runtime.store_settings import InteractionStoreSettings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "compose.yaml").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()
TIERS = ("api", "worker", "ml-worker", "outbox-publisher", "stream", "cron")
OURS = (*TIERS, "mcp")
# service -> the profile that starts it; the rest start always
PROFILES = {
    "ml-worker": "ml",
    "mcp": "mcp",
    "stream": "stream",
    "kafka": "kafka",
    "dynamodb": "stores",
    "cassandra": "stores",
    "store-ddl": "stores",
    "dynamodb-table": "stores",
    "cassandra-table": "stores",
    "prometheus": "observability",
    "grafana": "observability",
}
RUN_ONCE = {"migrate", "store-ddl", "dynamodb-table", "cassandra-table"}
# Read by AWS's client, not by a settings class.
OF_LIBRARIES = {"aws_access_key_id", "aws_secret_access_key"}
REFERENCE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
GIVEN = {"POSTGRES_PASSWORD": "p" * 48, "API_KEY_PEPPER": "k" * 48, "CRON_SECRET": "c" * 48}

SERVICES = cast("dict[str, dict[str, Any]]", compose_spec.PyCompose.from_yaml(TEXT).to_dict()["services"])


def interpolate(value: str) -> str:
    """Put the given secrets and the defaults in place of the `${...}` references, as compose does."""
    return REFERENCE.sub(lambda found: GIVEN.get(found[1]) or found[3] or "", value)


def environment(service: str) -> dict[str, str]:
    return {name: interpolate(str(value)) for name, value in SERVICES[service].get("environment", {}).items()}


def test_every_tier_and_every_server_is_there() -> None:
    assert set(SERVICES) == {"postgres", "redis", "migrate", *OURS, *PROFILES}


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_profile_is_the_documented_one(service: str) -> None:
    expected = [PROFILES[service]] if service in PROFILES else []
    assert SERVICES[service].get("profiles", []) == expected


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_every_service_that_stays_has_a_health_check(service: str) -> None:
    check = SERVICES[service]["healthcheck"]
    if service in RUN_ONCE:
        assert check == {"disable": True}
    else:
        assert check["test"][0] == "CMD"
        assert {"interval", "timeout", "retries"} <= check.keys()


@pytest.mark.parametrize("service", [*OURS, "migrate", "store-ddl"])
def test_tier_is_built_from_the_one_dockerfile_for_a_member_that_exists(service: str) -> None:
    build = SERVICES[service]["build"]
    assert build["dockerfile"] == "deploy/docker/Dockerfile"
    expected = "cli" if service in RUN_ONCE else service
    assert build["args"] == {"SERVICE": expected}
    assert (ROOT / "services" / expected / "pyproject.toml").is_file()


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_published_images_are_pinned_to_a_full_version(service: str) -> None:
    name, _, tag = SERVICES[service]["image"].partition(":")
    if "build" in SERVICES[service]:
        assert (name, tag) == (f"kaireon-{SERVICES[service]['build']['args']['SERVICE']}", "dev")
    else:
        assert re.match(r"v?\d+\.\d+(\.\d+)?", tag), f"{name} is not pinned"


@pytest.mark.parametrize("service", TIERS)
def test_tier_waits_for_its_servers_and_the_migration(service: str) -> None:
    assert SERVICES[service]["depends_on"] == {
        "postgres": {"condition": "service_healthy"},
        "redis": {"condition": "service_healthy"},
        "migrate": {"condition": "service_completed_successfully"},
        "dynamodb-table": {"condition": "service_completed_successfully", "required": False},
        "cassandra-table": {"condition": "service_completed_successfully", "required": False},
    }


def test_the_tools_wait_for_the_api() -> None:
    assert SERVICES["mcp"]["depends_on"] == {"api": {"condition": "service_healthy"}}
    assert environment("mcp")["KAIREON_API_URL"] == f"http://api:{environment('api')['API_PORT']}"


@pytest.mark.parametrize("service", OURS)
def test_tier_runs_without_privileges_on_a_read_only_file_system(service: str) -> None:
    definition = SERVICES[service]
    assert definition["read_only"] is True
    assert definition["cap_drop"] == ["ALL"]
    assert definition["security_opt"] == ["no-new-privileges:true"]


def settings_class(service: str) -> type[BaseSettings]:
    module = importlib.import_module(f"kaireon_{service.replace('-', '_')}.settings")
    # The scheduler hands its environment on to the jobs: theirs is what must be complete.
    return cast("type[BaseSettings]", module.JobSettings if service == "cron" else module.Settings)


@pytest.mark.parametrize("service", OURS)
def test_environment_is_what_the_settings_class_reads(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_class(service)
    given = environment(service)
    assert {name.lower() for name in given} - OF_LIBRARIES <= set(settings.model_fields)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings()


@pytest.mark.parametrize(
    ("service", "variable", "port"),
    [("api", "API_PORT", 3000), ("ml-worker", "ML_WORKER_PORT", 8000), ("mcp", "MCP_PORT", 8080)],
)
def test_port_is_the_one_of_make_run(service: str, variable: str, port: int) -> None:
    assert environment(service)[variable] == str(port)
    assert SERVICES[service]["ports"] == [f"127.0.0.1:{port}:{port}"]
    settings = settings_class(service)
    assert settings.model_fields[variable.lower()].default == port


def test_ports_are_published_on_loopback_only_and_once() -> None:
    ports = [port for definition in SERVICES.values() for port in definition.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert len({port.split(":")[1] for port in ports}) == len(ports)


@pytest.mark.parametrize("store", ["dynamodb", "cassandra"])
def test_table_of_a_store_is_made_once_it_answers_from_what_the_command_prints(store: str) -> None:
    assert SERVICES[f"{store}-table"]["depends_on"] == {
        store: {"condition": "service_healthy"},
        "store-ddl": {"condition": "service_completed_successfully"},
    }
    files = {"dynamodb": "/ddl/dynamodb.sh", "cassandra": "/ddl/cassandra.cql"}
    assert files[store] in " ".join(SERVICES[f"{store}-table"]["command"])
    assert f"kaireon store ddl --backend {store}" in SERVICES["store-ddl"]["command"][0]


def test_commands_that_make_the_tables_are_those_of_the_servers_beside_them(tmp_path: Path) -> None:
    """The job runs as it is: its shell, its command, its environment, with another folder for the volume."""
    (script,) = SERVICES["store-ddl"]["command"]
    given = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", **environment("store-ddl")}
    subprocess.run(
        [*SERVICES["store-ddl"]["entrypoint"], script.replace("/ddl/", f"{tmp_path}/")], env=given, check=True
    )
    made = (tmp_path / "dynamodb.sh").read_text()
    assert f"--endpoint-url={environment('api')['DYNAMODB_ENDPOINT_URL']}" in made
    assert "--table-name=kaireon_interactions" in made
    assert "'datacenter1': 1}" in (tmp_path / "cassandra.cql").read_text()


@pytest.mark.parametrize("service", ["api", "worker", "outbox-publisher"])
@pytest.mark.parametrize("store", ["dynamodb", "cassandra"])
def test_tier_can_be_told_to_use_a_store_of_the_profile(
    service: str, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (environment(service) | {"INTERACTION_STORE": store}).items():
        monkeypatch.setenv(name, value)
    settings = cast("InteractionStoreSettings", settings_class(service)())
    assert [backend.value for backend in settings.external_stores] == [store]
    assert settings.dynamodb.endpoint_url == "http://dynamodb:8000"


def test_command_has_what_it_takes_to_make_a_tenant_whose_key_the_api_knows() -> None:
    assert environment("migrate")["API_KEY_PEPPER"] == environment("api")["API_KEY_PEPPER"]


def test_no_job_is_consumed_twice() -> None:
    assert environment("api")["WORKER_INPROCESS"] == "0"


def test_secrets_come_from_the_env_file_and_have_no_default() -> None:
    required = {found[1] for found in REFERENCE.finditer(TEXT) if found[2] == "?"}
    assert required == set(GIVEN)
    for name in (*required, "GRAFANA_PASSWORD"):
        assert re.search(rf"^{name}=$", EXAMPLE, re.MULTILINE), f"{name} has a value in .env.example"


def test_example_names_only_variables_that_compose_reads() -> None:
    read = {found[1] for found in REFERENCE.finditer(TEXT)}
    assert {line.split("=")[0] for line in EXAMPLE.splitlines() if re.match(r"\w+=", line)} <= read


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_mounted_files_exist(service: str) -> None:
    for volume in SERVICES[service].get("volumes", []):
        source = volume if isinstance(volume, str) else volume["source"]
        if source.startswith("./"):
            assert (ROOT / source.split(":")[0]).exists()


@pytest.mark.parametrize(
    "broken",
    ["depends_onn: [postgres]", "depends_on: {postgres: {condition: nope}}"],
)
def test_the_parser_refuses_what_the_specification_does(broken: str) -> None:
    with pytest.raises(ValueError, match="services"):
        compose_spec.PyCompose.from_yaml(f"services:\n  a:\n    image: x:1\n    {broken}\n")


def test_prometheus_scrapes_ports_that_the_tiers_serve() -> None:
    jobs = yaml.safe_load((ROOT / "deploy/compose/prometheus.yaml").read_text())["scrape_configs"]
    targets = {target for job in jobs for group in job["static_configs"] for target in group["targets"]}
    assert targets == {
        f"api:{environment('api')['API_PORT']}",
        f"worker:{environment('worker')['WORKER_METRICS_PORT']}",
        f"outbox-publisher:{environment('outbox-publisher')['OUTBOX_HEALTH_PORT']}",
        f"stream:{environment('stream')['STREAM_HEALTH_PORT']}",
        f"mcp:{environment('mcp')['MCP_PORT']}",
    }
