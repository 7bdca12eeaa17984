"""`make bench`: the running stack's /recommend against the floor, interleaved, as one ratio."""

from __future__ import annotations

import argparse
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from perf import stack
from perf.fingerprint import fingerprint
from perf.load import Outcome, Plan
from perf.summary import Figures, Verdict, headline, summarise, verdict

if TYPE_CHECKING:
    from collections.abc import Generator

BASELINES = Path(__file__).parent / "baselines"
ALONE = 1
CROWDED = 16
WARM_UP_SECONDS = 1.0
MOST_EMPTY_SHARE = 0.05


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two that are compared."""

    name: str
    url: str
    headers: dict[str, str]


Results = dict[tuple[str, int], list[Outcome]]


def main() -> None:
    """Measure, print the table and, as the last line, the verdict; exit with code 1 where nothing can be measured."""
    arguments = _arguments()
    try:
        running = stack.running(arguments.run_file)
        with httpx.Client(
            base_url=running.api_url, headers={"X-API-Key": running.api_keys["admin"]}, timeout=30
        ) as api:
            _bench(running, api, arguments)
    except (stack.NotRunning, httpx.HTTPError) as error:
        sys.exit(f"nothing to measure: {error}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m perf.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=8, help="rounds of each server at each concurrency")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a round")
    parser.add_argument("--run-file", type=Path, default=stack.RUN_FILE, help="where the running stack is described")
    parser.add_argument("--store", action="store_true", help="keep the run in perf/baselines")
    return parser.parse_args()


def _bench(running: stack.Running, api: httpx.Client, arguments: argparse.Namespace) -> None:
    scenario = stack.scenario(api)
    print(f"{scenario.name}: {len(scenario.bodies)} customers, {scenario.candidates} candidates each")
    with serving_floor(running.redis_url) as floor_url:
        servers = (
            Server(name="floor", url=f"{floor_url}/floor", headers={}),
            Server(
                name="recommend",
                url=f"{running.api_url}/api/v1/recommend",
                headers={"Authorization": f"Bearer {running.api_keys['viewer']}"},
            ),
        )
        results = _measure(servers, scenario, arguments.rounds, arguments.seconds)
    stack.assert_traced(api, results["recommend", CROWDED][-1].sample)
    figures = {key: summarise(outcomes) for key, outcomes in results.items()}
    outcome = verdict(
        headline(results["floor", ALONE], results["floor", CROWDED]),
        headline(results["recommend", ALONE], results["recommend", CROWDED]),
    )
    _print_table(figures)
    if arguments.store:
        print(f"stored {_store(scenario, figures, outcome, arguments)}")
    print(msgspec.json.encode(outcome).decode())
    _refuse_wrong_answers(results)


def _measure(servers: tuple[Server, ...], scenario: stack.Scenario, rounds: int, seconds: float) -> Results:
    """Alternate between the servers in every round, so that a machine that slows down slows both."""
    results: Results = {(server.name, count): [] for server in servers for count in (ALONE, CROWDED)}
    first = {server.name: 0 for server in servers}

    def offer(server: Server, connections: int, duration: float) -> Outcome:
        plan = Plan(
            url=server.url,
            headers=server.headers,
            bodies=scenario.bodies,
            connections=connections,
            seconds=duration,
            first=first[server.name],
            empty_mark=stack.EMPTY_MARK,
        )
        outcome = _offer(plan)
        first[server.name] += len(outcome.latencies_us) + outcome.errors
        return outcome

    for server in servers:
        offer(server, CROWDED, WARM_UP_SECONDS)
    for count in (ALONE, CROWDED):
        for _ in range(rounds):
            for server in servers:
                results[server.name, count].append(offer(server, count, seconds))
    return results


def _offer(plan: Plan) -> Outcome:
    """Run the plan in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "perf.load"], input=msgspec.json.encode(plan), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return msgspec.json.decode(done.stdout, type=Outcome)


@contextmanager
def serving_floor(redis_url: str) -> Generator[str]:
    """Serve the floor for the time of the context; yield its address."""
    command = [sys.executable, "-m", "perf.floor", redis_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = process.stdout.readline().strip().decode()
            assert port, "the floor did not start"
            url = f"http://127.0.0.1:{port}"
            # The listener is open already: this waits until the application answers.
            httpx.get(f"{url}/", timeout=10)
            yield url
        finally:
            process.stdin.close()
            process.wait(timeout=10)


def _print_table(figures: dict[tuple[str, int], Figures]) -> None:
    print(
        f"{'server':<10} {'conn':>4} {'req/s':>9} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8} {'errors':>7} {'empty':>6}"
    )
    for (name, count), row in figures.items():
        times = f"{row.p50:>8.2f} {row.p95:>8.2f} {row.p99:>8.2f}"
        print(f"{name:<10} {count:>4} {row.rps:>9.1f} {times} {row.errors:>7} {row.empty:>6}")


def _refuse_wrong_answers(results: Results) -> None:
    """Exit with code 1 when answers were not 200, or decided nothing: the numbers are then of something else."""
    for (name, count), outcomes in results.items():
        for outcome in outcomes:
            if outcome.errors:
                sys.exit(f"{name} at {count}: {outcome.errors} errors, the last: {outcome.complaint}")
            if outcome.empty > MOST_EMPTY_SHARE * len(outcome.latencies_us):
                sys.exit(
                    f"{name} at {count}: {outcome.empty} answers decided nothing: `make reset` and `make run` again"
                )


def _store(
    scenario: stack.Scenario,
    figures: dict[tuple[str, int], Figures],
    outcome: Verdict,
    arguments: argparse.Namespace,
) -> Path:
    crowded = figures["recommend", CROWDED]
    document: dict[str, Any] = {
        "measuredAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "scenario": {
            "name": scenario.name,
            "customers": len(scenario.bodies),
            "candidates": scenario.candidates,
            "rounds": arguments.rounds,
            "roundSeconds": arguments.seconds,
        },
        "machine": fingerprint(),
        "verdict": outcome,
        "latencyMs": {"p50": crowded.p50, "p95": crowded.p95, "p99": crowded.p99},
        "totals": {
            "requests": crowded.requests,
            "errorRate": crowded.errors / (crowded.requests + crowded.errors),
        },
        "figures": {f"{name}@{count}": row for (name, count), row in figures.items()},
    }
    BASELINES.mkdir(exist_ok=True)
    path = BASELINES / f"{datetime.now(UTC):%Y-%m-%d}-recommend-{scenario.name}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    return path


if __name__ == "__main__":
    main()
