"""The presets of `deploy/tiers`: read by the settings, complete, and taken by the API."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import compose_spec
import msgspec
import pytest
import yaml

from kaireon_api.settings import Settings as Api
from kaireon_application.platform.tenant_settings import TenantSettings, TenantSettingsChange, effective_settings
from kaireon_worker.settings import Settings as Worker

ROOT = Path(__file__).parents[2]
TIERS = ROOT / "deploy/tiers"
COMPOSED = ("hobby", "startup")
# Of the C library and of the numerics, not of a settings class.
OF_LIBRARIES = {"MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"}
SECRETS = {"DATABASE_URL": "postgresql://h/d", "API_KEY_PEPPER": "p" * 32, "CRON_SECRET": "c" * 32}


def variables(tier: str) -> dict[str, str]:
    lines = (TIERS / tier / "api.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def services(path: Path) -> dict[str, dict[str, Any]]:
    return cast("dict[str, dict[str, Any]]", yaml.safe_load(path.read_text())["services"])


@pytest.mark.parametrize("tier", COMPOSED)
def test_every_variable_is_read_by_the_api_or_the_worker_beside_it(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = variables(tier)
    known = {name.upper() for settings in (Api, Worker) for name in settings.model_fields}
    assert set(given) <= known | OF_LIBRARIES
    for name, value in (given | SECRETS).items():
        monkeypatch.setenv(name, value)
    api, worker = cast("Callable[[], Api]", Api)(), cast("Callable[[], Worker]", Worker)()
    assert api.api_workers == 1
    assert api.worker_inprocess == (tier == "hobby")
    assert worker.worker_concurrency >= 1


@pytest.mark.parametrize("tier", COMPOSED)
def test_tenant_settings_are_a_change_that_the_api_takes(tier: str) -> None:
    text = (TIERS / tier / "tenant-settings.json").read_bytes()
    msgspec.json.decode(text, type=TenantSettingsChange)
    changed = effective_settings(msgspec.json.decode(text))
    assert changed.decision_trace_sample_rate < TenantSettings().decision_trace_sample_rate
    assert changed.retention_days < TenantSettings().retention_days


@pytest.mark.parametrize("tier", COMPOSED)
def test_compose_file_changes_services_that_exist_and_names_files_that_do(tier: str) -> None:
    text = (TIERS / tier / "compose.yaml").read_text()
    base = services(ROOT / "compose.yaml")
    for name, changed in services(TIERS / tier / "compose.yaml").items():
        assert name in base
        for path in changed.get("env_file", []):
            assert (ROOT / path).is_file()
        # As compose merges: mappings key by key, everything else replaced.
        merged = base[name] | changed | {"environment": base[name]["environment"] | changed.get("environment", {})}
        compose_spec.PyCompose.from_yaml(yaml.safe_dump({"services": {name: merged | {"depends_on": []}}}))
    assert f"-f compose.yaml -f deploy/tiers/{tier}/compose.yaml" in text


@pytest.mark.parametrize("tier", COMPOSED)
def test_what_compose_sets_itself_is_what_the_preset_says(tier: str) -> None:
    given = services(ROOT / "compose.yaml")["api"]["environment"]
    given |= services(TIERS / tier / "compose.yaml")["api"].get("environment", {})
    for name, value in variables(tier).items():
        if name in given:
            assert re.sub(r"\$\{\w+:-(.*)\}", r"\1", given[name]) == value, name


# tier -> files of the chart's below the preset's, and what the preset leaves to be filled in
CHARTED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "growth": (
        ("helm/values.yaml",),
        ("--set=postgres.external.host=db.example.com", "--set=redis.external.url=redis://r.example.com:6379/0"),
    ),
    "enterprise": (
        ("helm/values.yaml", "helm/values-large.yaml"),
        (f"--values={ROOT / 'helm/ci/large-values.yaml'}",),
    ),
}


def rendered(tier: str, *more: str) -> subprocess.CompletedProcess[str]:
    files = [*CHARTED[tier][0], f"deploy/tiers/{tier}/values.yaml"]
    command = [ROOT / ".venv/bin/helm", "template", "kaireon", "helm", *(f"--values={name}" for name in files), *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("tier", CHARTED)
def test_chart_takes_the_values_and_refuses_them_until_the_addresses_are_there(tier: str) -> None:
    without = rendered(tier)
    assert without.returncode == 1
    assert "set postgres.external.host" in without.stderr
    done = rendered(tier, *CHARTED[tier][1])
    assert done.returncode == 0, done.stderr
    objects = [one for one in yaml.safe_load_all(done.stdout) if one]
    found = {(one["kind"], one["metadata"]["name"].removeprefix("kaireon-")) for one in objects}
    assert {("Deployment", "api"), ("HorizontalPodAutoscaler", "api"), ("Deployment", "outbox-publisher")} <= found
    assert ("StatefulSet", "postgres") not in found
    least = yaml.safe_load((TIERS / tier / "values.yaml").read_text()).get("api", {}).get("autoscaling")
    (scaler,) = (one for one in objects if one["kind"] == "HorizontalPodAutoscaler")
    assert scaler["spec"]["minReplicas"] == (least["minReplicas"] if least else 6)


def test_hobby_starts_the_api_and_its_servers_and_nothing_else() -> None:
    base, changed = services(ROOT / "compose.yaml"), services(TIERS / "hobby/compose.yaml")
    started = {name for name in base if not {**base[name], **changed.get(name, {})}.get("profiles")}
    assert started == {"postgres", "redis", "migrate", "api"}


def test_crontab_of_hobby_calls_every_scheduled_job_when_it_is_due() -> None:
    schedule = tomllib.loads((ROOT / "services/cron/kaireon_cron/schedule.toml").read_text())["jobs"]
    lines = [line for line in (TIERS / "hobby/crontab").read_text().splitlines() if line[0] in "*0123456789"]
    called: dict[str, str] = {}
    for line in lines:
        *due, user, command = line.split(" ", 6)
        words = shlex.split(command)
        assert (user, words[0], "/etc/kaireon/cron.conf" in words) == ("root", "curl", True)
        called[words[-1].rpartition("/api/v1/cron/")[2]] = " ".join(due)
    assert called == {name: job["schedule"] for name, job in schedule.items() if job["enabled"]}
