"""A run against the one that was kept: what is worse is said, what cannot be compared is refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf.fingerprint import Fingerprint, fingerprint
from perf.k6.comparison import BASELINES, Load, NotComparable, Run, Script, Shape, Side, compare, latest_baseline

MACHINE = Fingerprint(
    cpu_model="A",
    cpu_count=2,
    memory_mib=1024,
    kernel="6",
    python="3.11",
    packages={"msgspec": "1"},
    git_commit="c",
    is_dirty=False,
)
LOAD = Load(rate=50, rounds=2, seconds=5)


def side(p95: float) -> Side:
    return Side(p50=p95 / 2, p95=p95, p99=p95 * 2, turns=[p95, p95])


def run(*, p95_ratio: float = 5.0, error_rate: float = 0.001, floor_ms: float = 1.0) -> Run:
    return Run(
        measured_at="2026-01-01T00:00:00+00:00",
        script=Script.RECOMMEND,
        flow="f",
        floor_name="perf/floor.py",
        load=LOAD,
        machine=MACHINE,
        requests=1000,
        error_rate=error_rate,
        measured=side(p95_ratio * floor_ms),
        floor=side(floor_ms),
    )


@pytest.mark.parametrize(
    ("p95_ratio", "error_rate", "worse"),
    [
        pytest.param(4.0, 0.0, [], id="better"),
        pytest.param(5.0, 0.001, [], id="equal"),
        pytest.param(5.45, 0.001, [], id="p95 +9 %"),
        pytest.param(
            5.55,
            0.001,
            ["p95 is +11.0% (5.55 times the floor's, 5.00 in the kept run; at most +10%)"],
            id="p95 +11 %",
        ),
        pytest.param(5.0, 0.005, [], id="errors +0.4 points"),
        pytest.param(
            5.0,
            0.007,
            ["errors are +0.60 points (0.70%, 0.10% in the kept run; at most +0.5)"],
            id="errors +0.6 points",
        ),
        pytest.param(
            6.0,
            0.1,
            [
                "p95 is +20.0% (6.00 times the floor's, 5.00 in the kept run; at most +10%)",
                "errors are +9.90 points (10.00%, 0.10% in the kept run; at most +0.5)",
            ],
            id="both",
        ),
    ],
)
def test_run_is_worse_by_its_ratio_and_its_errors(p95_ratio: float, error_rate: float, worse: list[str]) -> None:
    held = compare(run(), run(p95_ratio=p95_ratio, error_rate=error_rate))
    assert (held.worse, held.notes) == (worse, [])


@given(slowdown=st.floats(min_value=0.1, max_value=10))
def test_machine_that_slows_both_sides_makes_nothing_worse(slowdown: float) -> None:
    assert compare(run(), run(floor_ms=slowdown)).worse == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cpu_model": "B"}, ["another machine: cpu_model was A, is B. Ratios carry over only roughly"]),
        (
            {"cpu_count": 4, "memory_mib": 2048},
            ["another machine: cpu_count was 2, is 4; memory_mib was 1024, is 2048. Ratios carry over only roughly"],
        ),
        ({"git_commit": "d", "packages": {"msgspec": "2"}}, []),
    ],
)
def test_another_machine_is_said_and_compared(changes: dict[str, object], said: list[str]) -> None:
    elsewhere = msgspec.structs.replace(run(p95_ratio=5.55), machine=msgspec.structs.replace(MACHINE, **changes))
    held = compare(run(), elsewhere)
    assert held.notes == said
    assert len(held.worse) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"script": Script.DECIDE}, "another script: recommend, not decide"),
        ({"flow": "g"}, "another flow: f, not g"),
        ({"floor_name": "GET /api/health"}, "another floor_name: perf/floor.py, not GET /api/health"),
        ({"load": msgspec.structs.replace(LOAD, rate=60)}, "another load: .*'rate': 50.*, not .*'rate': 60"),
        ({"load": msgspec.structs.replace(LOAD, shape=Shape.RAMP)}, "another load: .*'constant'.*, not .*'ramp'"),
    ],
)
def test_run_of_something_else_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(NotComparable, match=said):
        compare(run(), msgspec.structs.replace(run(), **changes))


def test_youngest_kept_run_of_the_script_is_taken(tmp_path: Path) -> None:
    with pytest.raises(NotComparable, match=r"keeps no run of recommend: `make bench-k6 SCRIPT=recommend STORE=1`"):
        latest_baseline(Script.RECOMMEND, tmp_path)
    for name, ratio in (("2026-01-02-k6-recommend", 2), ("2026-01-01-k6-recommend", 1), ("2026-01-03-k6-decide", 3)):
        (tmp_path / f"{name}.json").write_bytes(msgspec.json.encode(run(p95_ratio=ratio)))
    path, found = latest_baseline(Script.RECOMMEND, tmp_path)
    assert (path.name, found.p95_ratio) == ("2026-01-02-k6-recommend.json", 2)
    path.write_text("{}")
    with pytest.raises(NotComparable, match=r"2026-01-02-k6-recommend\.json is no run: "):
        latest_baseline(Script.RECOMMEND, tmp_path)


@pytest.mark.parametrize("script", Script)
def test_every_script_has_a_kept_run_that_holds_against_itself(script: Script) -> None:
    path, kept = latest_baseline(script)
    assert path.parent == BASELINES
    assert kept.script is script
    assert kept.load.shape is Shape.CONSTANT
    assert compare(kept, kept).worse == []
    assert fingerprint().packages.keys() >= kept.machine.packages.keys()
