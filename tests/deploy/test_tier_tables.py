"""The rows of the page of deployment tiers: presets, settings and kept runs come to what each says."""

from __future__ import annotations

import json
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from kaireon_api.settings import Settings as Api
from kaireon_application.decisioning.decide_list import MAX_CUSTOMERS
from kaireon_application.learning.analysis import LOCAL_ROWS
from kaireon_application.platform.job import Queue
from kaireon_runtime.metrics import Metrics
from kaireon_runtime.settings import RedisSettings
from kaireon_worker.handlers import build_handlers
from kaireon_worker.settings import Settings as Worker
from tests.deploy import tier_tables as tables
from tests.deploy.test_image import PACKAGES, SERVICES, closure
from tests.deploy.test_tiers import CHARTED, TIERS, rendered, services, variables
from tests.helm.rendering import Object, containers_of, of_kind

ROOT = Path(__file__).parents[2]
UNITS = {"m": 1e-3, "Mi": 2**-10, "Gi": 1.0}
BYTES = {"m": 2**-10, "g": 1.0}
ON_ARM = re.compile(r"-any\.whl$|-(cp311-cp311|cp3\d+-abi3|(py2\.)?py3-none)-manylinux[\w.]*aarch64")
ROWS = {tier.key: tier for tier in tables.TIERS}


def page(tier: str) -> str:
    return " ".join((TIERS / tier / "README.md").read_text().split())


def kept(pattern: str) -> dict[str, Any]:
    """Return the youngest kept run of those files of perf/baselines."""
    return cast("dict[str, Any]", json.loads(max((ROOT / "perf/baselines").glob(pattern)).read_text()))


def kept_recommend() -> dict[str, Any]:
    return kept("*-recommend-*.json")


def amount(text: Any) -> float:
    """Return processors or GiB of what Kubernetes writes."""
    number, unit = cast("re.Match[str]", re.fullmatch(r"([\d.]+)([a-zA-Z]*)", str(text))).groups()
    return float(number) * UNITS.get(unit, 1.0)


def asked(pod: Object) -> tuple[float, float]:
    """Return processors and GiB that a pod asks for, its pooler included."""
    requests = [container["resources"]["requests"] for container in containers_of(pod)]
    return sum(amount(one["cpu"]) for one in requests), sum(amount(one["memory"]) for one in requests)


@cache
def objects_of(tier: str, *more: str) -> list[Object]:
    """Return what the chart makes of a tier's values, with the addresses filled in."""
    return [one for one in yaml.safe_load_all(rendered(tier, *CHARTED[tier][1], *more).stdout) if one]


def environment_of(tier: str) -> dict[str, str]:
    """Return what the chart's ConfigMap gives that tier's pods."""
    return cast("dict[str, str]", named(objects_of(tier), "ConfigMap", "kaireon-config")["data"])


def named(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = (one for one in of_kind(objects, kind) if one["metadata"]["name"] == name)
    return found


def least_pods(tier: str) -> list[tuple[str, tuple[float, float]]]:
    """Return (deployment, processors and GiB) of every pod of the fewest that a tier of the chart has."""
    objects = objects_of(tier)
    scaled = {
        one["spec"]["scaleTargetRef"]["name"]: one["spec"].get("minReplicas", one["spec"].get("minReplicaCount"))
        for kind in ("HorizontalPodAutoscaler", "ScaledObject")
        for one in of_kind(objects, kind)
    }
    return [
        (name, asked(one["spec"]["template"]))
        for one in of_kind(objects, "Deployment")
        for name in [one["metadata"]["name"]]
        for _ in range(one["spec"].get("replicas", scaled.get(name)))
    ]


def nodes_for(pods: list[tuple[str, tuple[float, float]]], node: tuple[float, float]) -> int:
    """Return how many nodes hold the pods, the API's apart; first fit, the largest first."""
    count = 0
    for is_api in (True, False):
        rooms: list[list[float]] = []
        for _, (cpu, memory) in sorted((each for each in pods if each[0].endswith("-api") is is_api), reverse=True):
            room = next((one for one in rooms if one[0] >= cpu and one[1] >= memory), None)
            if room is None:
                rooms.append(room := list(node))
            room[0], room[1] = room[0] - cpu, room[1] - memory
        count += len(rooms)
    return count


def bounds(tier: str) -> dict[str, float]:
    """Return the GiB that compose lets each service of a preset have."""
    found = services(TIERS / tier / "compose.yaml")
    return {
        name: float(one["mem_limit"][:-1]) * BYTES[one["mem_limit"][-1]]
        for name, one in found.items()
        if "mem_limit" in one
    }


def test_every_tier_is_a_preset_with_its_page() -> None:
    assert {path.name for path in TIERS.iterdir() if path.is_dir()} == set(ROWS)
    index = (TIERS / "README.md").read_text()
    assert all(f"| [{tier}]({tier}/README.md) |" in index for tier in ROWS)


def test_hobby_fits_its_box_and_the_free_servers() -> None:
    assert bounds("hobby") == {"api": ROWS["hobby"].node[1]}
    text = page("hobby")
    resident, postgres = re.search(r"\| (\d+) MB: API", text), re.search(r"catalogues \| (\d+) MB", text)
    commands = re.search(r"([\d,]+) a day; those of decisions", text)
    assert resident is not None
    assert postgres is not None
    assert commands is not None
    assert int(resident[1]) < ROWS["hobby"].node[1] * 1024
    assert int(postgres[1]) < tables.FREE_POSTGRES_MB
    assert int(commands[1].replace(",", "")) < tables.FREE_REDIS_COMMANDS_A_DAY


def test_startup_fits_its_box_without_the_ml_worker() -> None:
    given = bounds("startup")
    assert given.pop("ml-worker") == ROWS["startup"].node[1]
    assert sum(given.values()) < ROWS["startup"].node[1]
    assert services(ROOT / "compose.yaml")["ml-worker"]["profiles"] == ["ml"]


def test_growth_fits_its_nodes() -> None:
    pods, row = least_pods("growth"), ROWS["growth"]
    assert nodes_for(pods, row.node) <= row.nodes
    cpu, memory = (sum(pod[side] for _, pod in pods) for side in (0, 1))
    assert f"is {cpu:.2f} processors and {memory:.1f} GiB: two nodes of 2 processors and 4 GiB" in page("growth")


def test_enterprise_says_what_its_nodes_must_have_where_four_small_ones_do_not_do() -> None:
    pods, row = least_pods("enterprise"), ROWS["enterprise"]
    cpu, memory = (sum(pod[side] for _, pod in pods) for side in (0, 1))
    assert max(pod[1] for _, pod in pods) > row.node[1], "the nodes of the row would do: say so"
    assert nodes_for(pods, (8, 32)) == row.nodes
    text = page("enterprise")
    assert f"is {cpu:.2f} processors and {memory:.1f} GiB, and {max(pod[1] for _, pod in pods):.2f} GiB of them" in text
    assert "Four nodes of 8 processors and 32 GiB hold the least, two of them for the API" in text


@pytest.mark.parametrize("tier", CHARTED)
def test_servers_of_the_larger_tiers_are_external(tier: str) -> None:
    assert of_kind(objects_of(tier), "StatefulSet") == []
    beginning = "redis+cluster://" if tier == "enterprise" else "redis://"
    assert environment_of(tier)["REDIS_URL"].startswith(beginning)


@pytest.mark.parametrize("service", SERVICES)
def test_image_can_be_built_for_the_processors_of_arm(service: str) -> None:
    """Every package that it installs on Linux has a build for arm64, or needs none."""
    lock = cast("list[dict[str, Any]]", tomllib.loads((ROOT / "uv.lock").read_text())["package"])
    for name in closure(f"kaireon-{service}") - {"pywin32"}:
        if "editable" in PACKAGES[name]["source"]:
            continue
        files = [wheel["url"] for one in lock if one["name"] == name for wheel in one.get("wheels", [])]
        assert any(ON_ARM.search(url) for url in files), name


@pytest.mark.parametrize("tier", tables.TIERS, ids=lambda tier: tier.key)
def test_kept_run_is_beyond_the_row(tier: tables.Tier) -> None:
    """One process answers more than all but the largest tier; figures of a kept run, not of this one."""
    run = kept_recommend()["verdict"]["recommend"]
    assert run["p99"] < tier.p99_ms
    if tier.key == "enterprise":
        assert "Nothing on a cluster" in page(tier.key)
    else:
        assert run["rps"] > tier.decisions_per_second[1]


def test_no_price_is_stated_and_the_index_says_why() -> None:
    assert [tier for tier in ROWS if re.search(r"[$€]\s?\d", page(tier))] == []
    assert "**Prices** are not given" in (TIERS / "README.md").read_text()


def test_each_kind_of_job_has_its_queue_and_nobody_else_has_one() -> None:
    assert {queue.value for queue in Queue} == set(tables.JOBS.values())


@pytest.mark.parametrize("tier", tables.MODES)
def test_the_mode_of_the_worker_is_that_of_its_row(tier: str) -> None:
    if tier not in CHARTED:
        assert variables(tier)["WORKER_INPROCESS"] == tables.MODES[tier]
        return
    assert environment_of(tier)["WORKER_INPROCESS"] == tables.MODES[tier]
    worker = named(objects_of(tier), "Deployment", "kaireon-worker")
    assert worker["spec"]["template"]["spec"]["containers"][0]["image"].startswith(f"{tables.WORKER_IMAGE}:")


def test_without_the_variable_the_api_brings_its_worker() -> None:
    assert Api.model_fields["worker_inprocess"].default is True


def redis_rows() -> dict[str, list[str]]:
    """Return the URLs of each row of the page's table of servers."""
    text = (ROOT / "docs/operations/redis.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| (`redis[^|]+) \|", text.split("## Whose server")[1], re.MULTILINE)
    return {name: re.findall(r"`(rediss?[^`]+)`", urls) for name, urls in rows}


def test_every_server_of_the_row_is_on_the_page() -> None:
    assert tuple(redis_rows()) == tables.REDIS_SERVERS


@pytest.mark.parametrize("server", tables.REDIS_SERVERS)
def test_a_server_is_another_url_and_nothing_else(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in redis_rows()[server]:
        monkeypatch.setenv("REDIS_URL", url)
        if "+cluster" in url:
            monkeypatch.setenv("CELERY_BROKER_URL", "redis://queues.example.com:6379/0")
        given = RedisSettings()
        assert given.redis_url == url
        assert given.broker_url == ("redis://queues.example.com:6379/0" if "+cluster" in url else url)
        monkeypatch.delenv("CELERY_BROKER_URL", raising=False)


def test_no_package_of_a_provider_is_locked() -> None:
    assert [name for name in PACKAGES for provider in tables.PROVIDERS if provider in name] == []


def test_small_tiers_may_leave_the_ml_worker_out_and_large_ones_have_it() -> None:
    assert "ML_WORKER_URL" not in variables("hobby")
    assert "ml-worker" not in {*bounds("hobby")}
    for tier in CHARTED:
        assert any(name.endswith("-ml-worker") for name, _ in least_pods(tier)), tier


def test_analyses_of_more_rows_than_these_are_the_ml_workers() -> None:
    assert LOCAL_ROWS == tables.LOCAL_ROWS
    assert f"| at most {LOCAL_ROWS:,} | any | `local` | all |" in (ROOT / "docs/reference/analyses.md").read_text()


def test_every_stage_is_on_the_page_in_its_order() -> None:
    text = (ROOT / "docs/explanation/how-a-decision-is-made.md").read_text()
    assert re.findall(r"`(\w+)`", text.split("nine stages took:")[1].split(".\n")[0]) == list(tables.STAGES)


@pytest.mark.parametrize("stage", tables.STAGES)
def test_a_whole_decision_of_the_kept_run_is_within_the_time_of_the_stage(stage: str) -> None:
    assert kept_recommend()["verdict"]["recommend"]["p50"] <= tables.STAGES[stage]


@pytest.mark.parametrize("percentile", tables.TOTALS)
def test_totals_of_the_kept_run_are_below_their_rows(percentile: str) -> None:
    run = kept_recommend()
    assert tables.CANDIDATES[0] <= run["scenario"]["candidates"] <= tables.CANDIDATES[1]
    assert run["verdict"]["recommend"][percentile] < tables.TOTALS[percentile][0]


def test_time_grows_no_faster_than_the_candidates() -> None:
    (grown,) = (one["ratio"] for one in kept("*-micro.json")["ratios"] if one["name"] == "candidates")
    assert grown < 10_000 / 100


def test_an_instance_answers_more_than_its_row_and_is_scaled_by_its_processor() -> None:
    assert kept_recommend()["verdict"]["recommend"]["rps"] > tables.REQUESTS_PER_INSTANCE[1]
    (metric,) = named(objects_of("growth"), "HorizontalPodAutoscaler", "kaireon-api")["spec"]["metrics"]
    assert metric["containerResource"]["name"] == "cpu"


def test_a_hit_of_the_cache_is_as_cheap_as_its_row() -> None:
    text = (ROOT / "perf/README.md").read_text()
    found = re.search(r"2026-11-20: ([\d.]+) \(([\d.]+) ms and\s+([\d.]+) ms\)", text)
    assert found is not None
    share, hit, miss = map(float, found.groups())
    assert hit <= tables.CACHE_HIT_MS
    assert 1 - share >= tables.CACHE_SAVES
    assert round(hit / miss, 3) == share


def test_as_many_replicas_as_a_provider_allows_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    urls = [f"postgresql://kaireon@replica-{number}.example.com/kaireon" for number in range(tables.MOST_REPLICAS)]
    for name, value in (("DATABASE_URL", "postgresql://h/d"), ("API_KEY_PEPPER", "p" * 32)):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATABASE_REPLICA_URLS", ",".join(urls))
    assert Api().replica_urls == tuple(urls)  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize("tier", ["hobby", "startup"])
def test_small_tiers_need_no_pooler(tier: str) -> None:
    assert int(variables(tier)["API_DATABASE_CONNECTIONS"]) < tables.CONNECTIONS_WITHOUT_POOLER


def test_a_list_has_as_many_customers_as_documented() -> None:
    assert MAX_CUSTOMERS == tables.CUSTOMERS_OF_A_LIST


def test_workers_may_stand_on_nodes_that_are_taken_away() -> None:
    sets = (
        "--set=worker.nodeSelector.capacity=spot",
        "--set=worker.tolerations[0].key=spot",
        "--set=worker.tolerations[0].operator=Exists",
    )
    deployments = of_kind(objects_of("growth", *sets), "Deployment")
    pods = {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in deployments}
    placed = {name for name, spec in pods.items() if spec.get("nodeSelector") == {"capacity": "spot"}}
    assert placed == {"kaireon-worker"}
    assert pods["kaireon-worker"]["tolerations"] == [{"key": "spot", "operator": "Exists"}]
    assert pods["kaireon-worker"]["terminationGracePeriodSeconds"] < tables.SPOT_NOTICE_SECONDS


def test_the_worker_does_each_kind_of_job() -> None:
    """Each queue's file gives the table of handlers its types."""
    given = Worker.model_validate({"database_url": "postgresql://h/d"})
    files = {name.removesuffix("-jobs") for name in tables.JOBS.values()}
    places = {handler.__module__.rpartition(".")[2] for handler in build_handlers(given, Metrics()).values()}
    assert {place.removesuffix("s") for place in places} >= files
