"""The scripts, run by k6 against a real API: they measure it, and a crossed threshold fails the run."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from kaireon_testkit.patience import PATIENCE_SECONDS
from kaireon_testkit.platform.tenant import Tenant
from perf.k6.comparison import Load, Script, Shape
from perf.k6.run import FOLDER, Floor, K6Failed, Target, measure
from tests.api.shop import created, flow_config, stock
from tests.api.test_process import connected, environment, started, until_ready

K6 = str(Path(sys.executable).with_name("k6"))
NOTHING = {
    "type": "filter",
    "config": {"conditions": [{"field": "offer.priority", "operator": "gt", "value": 100}]},
}
SLOW_ENOUGH_MS = 9_000.0


@pytest.fixture
async def target(database_url: str, redis_url: str, tenant: Tenant, tmp_path: Path) -> AsyncIterator[Target]:
    """A running API with a small catalogue; its own health is the floor."""
    variables = environment(database_url, redis_url, LOG_LEVEL="error")
    url, key = f"http://127.0.0.1:{variables['API_PORT']}", tenant.api_keys["admin"]
    bodies = [msgspec.json.encode({"customerId": f"c{number}", "channel": "mail", "limit": 2}) for number in range(30)]
    with (tmp_path / "log").open("wb") as log, started(variables, log):
        await until_ready(url)
        async with connected(url, key) as client:
            await stock(client)
            await _until(client, 3)
        floor = Floor(name="GET /api/health", url=f"{url}/api/health", method="GET")
        yield Target(url=url, key=key, flow="none", bodies=bodies, floor=floor)


async def _until(client: httpx.AsyncClient, count: int) -> None:
    """Wait until the API decides with what was just written."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            answer = await client.post("/api/v1/recommend", json={"customerId": "c0", "channel": "mail"})
            if answer.json().get("count") == count:
                return
            await asyncio.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "shape"),
    [(Script.RECOMMEND, Shape.CONSTANT), (Script.RESPOND, Shape.RAMP), (Script.DECIDE, Shape.CONSTANT)],
)
async def test_script_measures_every_request_of_both_sides(target: Target, script: Script, shape: Shape) -> None:
    load = Load(shape=shape, rate=10, rounds=2, seconds=1)
    run = await asyncio.to_thread(measure, target, script, load, SLOW_ENOUGH_MS)
    assert (run.script, run.load, run.error_rate) == (script, load, 0)
    assert run.requests >= 2
    for side in (run.measured, run.floor):
        assert len(side.turns) == 2
        assert side.p95 == min(side.turns) > 0
    assert run.p95_ratio > 0


@pytest.mark.parametrize(
    ("changes", "p95_ms"),
    [
        pytest.param({}, 0.001, id="the p95"),
        pytest.param({"key": "krn_nobody"}, SLOW_ENOUGH_MS, id="the error rate"),
    ],
)
async def test_crossed_threshold_fails_the_run(target: Target, changes: dict[str, object], p95_ms: float) -> None:
    broken = msgspec.structs.replace(target, **changes)
    load = Load(rate=10, rounds=1, seconds=1)
    with pytest.raises(K6Failed, match="ended with 99: a threshold was crossed"):
        await asyncio.to_thread(measure, broken, Script.RECOMMEND, load, p95_ms)


async def test_answers_that_decide_nothing_fail_the_run(target: Target, capfd: pytest.CaptureFixture[str]) -> None:
    async with connected(target.url, target.key) as client:
        await created(client, "decision-flows", key="void", name="void", draftConfig=flow_config(NOTHING))
        (await client.post("/api/v1/decision-flows/void/publish", json={})).raise_for_status()
        await _until(client, 0)
    with pytest.raises(K6Failed):
        await asyncio.to_thread(measure, target, Script.RECOMMEND, Load(rate=10, rounds=1, seconds=1), SLOW_ENOUGH_MS)
    assert "thresholds on metrics 'checks{side:measured}' have been crossed" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"BASE_URL": "http://127.0.0.1:1"}, "API_KEY is not set"),
        ({"API_KEY": "k"}, "BASE_URL is not set"),
        ({"BASE_URL": "http://127.0.0.1:1", "API_KEY": "k", "SHAPE": "wave"}, "SHAPE must be one of constant, ramp"),
        ({"BASE_URL": "http://127.0.0.1:1", "API_KEY": "k", "RATE": "none"}, "RATE must be a number above 0"),
    ],
)
def test_script_names_the_variable_that_is_wrong(given: dict[str, str], said: str) -> None:
    done = _inspect(Script.RECOMMEND, given)
    assert done.returncode != 0
    assert said in done.stderr


@pytest.mark.parametrize("script", Script)
def test_script_is_open_model_with_thresholds(script: Script) -> None:
    for shape in Shape:
        given = {"BASE_URL": "http://127.0.0.1:1", "API_KEY": "k", "SHAPE": shape.value, "FLOOR_URL": "http://x/"}
        done = _inspect(script, given)
        assert done.returncode == 0, done.stderr
        options = msgspec.json.decode(done.stdout)
        assert set(options["scenarios"]) == {"floor_0", "measured_0"}
        executor = {"constant": "constant-arrival-rate", "ramp": "ramping-arrival-rate"}[shape]
        assert {scenario["executor"] for scenario in options["scenarios"].values()} == {executor}
        assert {"http_req_duration{side:measured}", "http_req_failed{side:measured}", "dropped_iterations"} <= set(
            options["thresholds"]
        )


def _inspect(script: Script, given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [K6, "inspect", "--include-system-env-vars", str(FOLDER / f"{script}.js")]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=60)
