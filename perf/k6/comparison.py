"""Whether a run is worse than the one that was kept: by what it is to its own floor, never by milliseconds."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from perf.fingerprint import Fingerprint

BASELINES = Path(__file__).parents[1] / "baselines"
MOST_SLOWER = 0.10
MOST_MORE_ERRORS = 0.005
# What makes figures of two runs differ before any code does; the rest of a fingerprint may change from day to day.
_MACHINE = ("cpu_model", "cpu_count", "memory_mib")


class Script(StrEnum):
    """What is asked of the API; each is a file of this folder."""

    RECOMMEND = "recommend"
    RESPOND = "respond"
    DECIDE = "decide"


class Shape(StrEnum):
    """How requests arrive in a turn: at one rate, or from a tenth of it up to it."""

    CONSTANT = "constant"
    RAMP = "ramp"


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Requests per second, turns of each side, and seconds of a turn."""

    shape: Shape = Shape.CONSTANT
    rate: int
    rounds: Annotated[int, Meta(ge=1)]
    seconds: int


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One side at its best turn, in milliseconds, and its p95 of every turn."""

    p50: float
    p95: float
    p99: float
    turns: list[float]


class Run(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One run of a script. `floor_name` says what it is divided by; `error_rate` is a share of the API's requests."""

    measured_at: str
    script: Script
    flow: str
    floor_name: str
    load: Load
    machine: Fingerprint
    requests: int
    error_rate: float
    measured: Side
    floor: Side

    @property
    def p95_ratio(self) -> float:
        """How many times the floor's p95 the API's is."""
        return self.measured.p95 / self.floor.p95


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """`worse` is empty where the run holds; `notes` are what a reader must know."""

    worse: list[str]
    notes: list[str]


class NotComparable(Exception):
    """There is no kept run to hold this one against, or it measured something else."""


def latest_baseline(script: Script, folder: Path = BASELINES) -> tuple[Path, Run]:
    """Return the youngest kept run of a script, by its name. Raises `NotComparable`."""
    kept = sorted(folder.glob(f"*-k6-{script}.json"))
    if not kept:
        message = f"{folder} keeps no run of {script}: `make bench-k6 SCRIPT={script} STORE=1` keeps one"
        raise NotComparable(message)
    try:
        return kept[-1], msgspec.json.decode(kept[-1].read_bytes(), type=Run)
    except msgspec.DecodeError as error:
        message = f"{kept[-1]} is no run: {error}"
        raise NotComparable(message) from error


def compare(baseline: Run, run: Run) -> Comparison:
    """Hold a run against a kept one. Raises `NotComparable`."""
    for name in ("script", "flow", "floor_name", "load"):
        before, now = (msgspec.to_builtins(getattr(one, name)) for one in (baseline, run))
        if before != now:
            message = f"the kept run has another {name}: {before}, not {now}"
            raise NotComparable(message)
    worse: list[str] = []
    slower = run.p95_ratio / baseline.p95_ratio - 1
    if slower > MOST_SLOWER:
        ratios = f"{run.p95_ratio:.2f} times the floor's, {baseline.p95_ratio:.2f} in the kept run"
        worse.append(f"p95 is {slower:+.1%} ({ratios}; at most {MOST_SLOWER:+.0%})")
    more = run.error_rate - baseline.error_rate
    if more > MOST_MORE_ERRORS:
        rates = f"{run.error_rate:.2%}, {baseline.error_rate:.2%} in the kept run"
        worse.append(f"errors are {more * 100:+.2f} points ({rates}; at most {MOST_MORE_ERRORS * 100:+.1f})")
    return Comparison(worse=worse, notes=_differences(baseline.machine, run.machine))


def _differences(before: Fingerprint, now: Fingerprint) -> list[str]:
    found = [
        f"{name} was {getattr(before, name)}, is {getattr(now, name)}"
        for name in _MACHINE
        if getattr(before, name) != getattr(now, name)
    ]
    return [f"another machine: {'; '.join(found)}. Ratios carry over only roughly"] if found else []
