"""`python -m perf.k6`: run a script against `make run`, or what BASE_URL and API_KEY name; keep or compare the run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec

from perf import stack
from perf.bench import serving_floor
from perf.k6.comparison import BASELINES, Load, NotComparable, Run, Script, Shape, compare, latest_baseline
from perf.k6.run import Floor, K6Failed, Target, measure

_RATES = {Script.RECOMMEND: 50, Script.RESPOND: 50, Script.DECIDE: 20}
# The scripts respond too, which a viewer may not.
_ROLE = "editor"


def main() -> None:
    """Measure and print; the last line is JSON. Exit code 1 for a run that is worse, 99 for a crossed threshold."""
    arguments = _arguments()
    script, rate = arguments.script, arguments.rate or _RATES[arguments.script]
    load = Load(shape=arguments.shape, rate=rate, rounds=arguments.rounds, seconds=arguments.seconds)
    try:
        baseline = latest_baseline(script) if arguments.compare else None
        with _target(arguments.run_file) as target:
            run = measure(target, script, load, arguments.p95_ms)
        _tell(run)
        if arguments.store:
            print(f"stored {_store(run)}")
        if baseline is not None:
            _hold_against(*baseline, run)
    except K6Failed as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.code)
    except NotComparable as error:
        sys.exit(f"nothing to compare with: {error}")
    except (stack.NotRunning, httpx.HTTPError) as error:
        sys.exit(f"nothing to measure: {error}")
    print(msgspec.json.encode({"p95Ratio": round(run.p95_ratio, 3), "errorRate": run.error_rate}).decode())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m perf.k6", description=__doc__)
    parser.add_argument("script", type=Script, choices=list(Script), nargs="?", default=Script.RECOMMEND)
    parser.add_argument("--shape", type=Shape, choices=list(Shape), default=Shape.CONSTANT)
    parser.add_argument("--rate", type=int, help="requests per second; default: 50, for decide 20")
    parser.add_argument("--rounds", type=int, default=20, help="turns of the floor and of the API")
    parser.add_argument("--seconds", type=int, default=1, help="length of a turn")
    parser.add_argument("--p95-ms", type=float, help="the p95 that fails the run; default: that of the script")
    parser.add_argument("--run-file", type=Path, default=stack.RUN_FILE, help="where the running stack is described")
    parser.add_argument("--store", action="store_true", help="keep the run in perf/baselines")
    parser.add_argument("--compare", action="store_true", help="hold the run against the kept one")
    return parser.parse_args()


@contextmanager
def _target(run_file: Path) -> Generator[Target]:
    """Yield what is measured. An installation elsewhere keeps its Redis to itself: its floor is its own /api/health."""
    url, key = os.environ.get("BASE_URL"), os.environ.get("API_KEY")
    if bool(url) != bool(key):
        message = "BASE_URL and API_KEY go together"
        raise stack.NotRunning(message)
    if url and key:
        floor = Floor(name="GET /api/health", url=f"{url.rstrip('/')}/api/health", method="GET")
        yield _asked(url, key, floor)
        return
    running = stack.running(run_file)
    with serving_floor(running.redis_url) as floor_url:
        floor = Floor(name="perf/floor.py", url=f"{floor_url}/floor", method="POST")
        yield _asked(running.api_url, running.api_keys[_ROLE], floor)


def _asked(url: str, key: str, floor: Floor) -> Target:
    with httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=30) as api:
        scenario = stack.scenario(api)
    print(f"{scenario.name}: {len(scenario.bodies)} customers, {scenario.candidates} candidates each")
    return Target(url=url, key=key, flow=scenario.name, bodies=scenario.bodies, floor=floor)


def _tell(run: Run) -> None:
    for name, side in (("floor", run.floor), (run.script.value, run.measured)):
        print(
            f"{name:<10} p50 {side.p50:.2f} ms, p95 {side.p95:.2f}, p99 {side.p99:.2f}; p95 of all turns {side.turns}"
        )
    print(f"p95 is {run.p95_ratio:.2f} times that of {run.floor_name}; {run.error_rate:.2%} of {run.requests} failed")


def _store(run: Run) -> Path:
    path = BASELINES / f"{datetime.now(UTC):%Y-%m-%d}-k6-{run.script}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")
    return path


def _hold_against(path: Path, baseline: Run, run: Run) -> None:
    held = compare(baseline, run)
    for note in held.notes:
        print(f"note: {note}")
    if held.worse:
        sys.exit(f"worse than {path.name}: {'; '.join(held.worse)}")
    print(f"holds against {path.name}: p95 ratio {run.p95_ratio:.2f}, {baseline.p95_ratio:.2f} in the kept run")


if __name__ == "__main__":
    main()
