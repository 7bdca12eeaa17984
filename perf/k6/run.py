"""Run one script with k6, and read what it has measured."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from shutil import which
from typing import Any

import msgspec

from perf.fingerprint import fingerprint
from perf.k6.comparison import Load, Run, Script, Side

FOLDER = Path(__file__).parent
_STATISTICS = ("med", "p(95)", "p(99)")
_SPARE_SECONDS = 120


class Floor(msgspec.Struct, frozen=True, kw_only=True):
    """What the API is divided by; `name` is kept with a run."""

    name: str
    url: str
    method: str


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The API that is measured, beside its floor, and what it is asked."""

    url: str
    key: str
    flow: str
    bodies: Sequence[bytes]
    floor: Floor


class K6Failed(Exception):
    """k6 ended with this code: 99 where a threshold was crossed."""

    def __init__(self, code: int) -> None:
        super().__init__(f"k6 ended with {code}" + (": a threshold was crossed" if code == 99 else ""))  # noqa: PLR2004
        self.code = code


def measure(target: Target, script: Script, load: Load, p95_ms: float | None = None) -> Run:
    """Run a script and return what it measured; k6 reports on this process's output. Raises `K6Failed`."""
    with tempfile.TemporaryDirectory() as name:
        bodies, summary = Path(name) / "bodies.json", Path(name) / "summary.json"
        bodies.write_bytes(b"[" + b",".join(target.bodies) + b"]")
        environment = {
            **os.environ,
            "BASE_URL": target.url,
            "API_KEY": target.key,
            "BODIES": str(bodies),
            "FLOOR_URL": target.floor.url,
            "FLOOR_METHOD": target.floor.method,
            "SHAPE": load.shape.value,
            "RATE": str(load.rate),
            "ROUNDS": str(load.rounds),
            "SECONDS": str(load.seconds),
            **({} if p95_ms is None else {"P95_MS": str(p95_ms)}),
        }
        _run_k6(script, summary, environment, seconds=2 * load.rounds * (load.seconds + 1) + _SPARE_SECONDS)
        return _read(target, script, load, msgspec.json.decode(summary.read_bytes())["metrics"])


def _run_k6(script: Script, summary: Path, environment: dict[str, str], *, seconds: float) -> None:
    options = [
        "--quiet",
        "--no-usage-report",
        "--address",
        "",
        "--summary-mode",
        "legacy",
        "--summary-export",
        str(summary),
    ]
    command = [_k6(), "run", *options, str(FOLDER / f"{script}.js")]
    code = subprocess.run(command, env=environment, check=False, timeout=seconds).returncode
    if code:
        raise K6Failed(code)


def _k6() -> str:
    """Return the program that is installed beside this interpreter, else the one on the path."""
    beside = Path(sys.executable).with_name("k6")
    return str(beside) if beside.is_file() else which("k6") or "k6"


def _read(target: Target, script: Script, load: Load, metrics: dict[str, Any]) -> Run:
    failed = metrics["http_req_failed{side:measured}"]
    return Run(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        script=script,
        flow=target.flow,
        floor_name=target.floor.name,
        load=load,
        machine=fingerprint(),
        # Of a rate, `passes` are those that were counted: here requests that failed.
        requests=failed["passes"] + failed["fails"],
        error_rate=round(failed["value"], 5),
        measured=_side(metrics, "measured", load.rounds),
        floor=_side(metrics, "floor", load.rounds),
    )


def _side(metrics: dict[str, Any], name: str, rounds: int) -> Side:
    """Take a side at its best turn: what else runs on a machine only ever slows one down."""
    turns = [metrics[f"http_req_duration{{scenario:{name}_{place}}}"] for place in range(rounds)]
    best = min(turns, key=lambda turn: turn["p(95)"])
    p50, p95, p99 = (round(best[statistic], 3) for statistic in _STATISTICS)
    return Side(p50=p50, p95=p95, p99=p99, turns=[round(turn["p(95)"], 3) for turn in turns])
