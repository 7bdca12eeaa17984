"""`python -m perf.micro`: measure every ratio, print it beside its budget, and keep the run if asked to."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from perf.bench import BASELINES
from perf.fingerprint import fingerprint
from perf.micro.ratios import Ratio, Size, measure


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(prog="python -m perf.micro", description=__doc__)
    parser.add_argument("--rounds", type=int, default=Size().rounds, help="rounds of each comparison")
    parser.add_argument("--seconds", type=float, default=Size().seconds, help="length of a side's turn in a round")
    parser.add_argument("--store", action="store_true", help="keep the run in perf/baselines")
    arguments = parser.parse_args()
    size = Size(rounds=arguments.rounds, seconds=arguments.seconds)
    ratios = list[Ratio]()
    for ratio in measure(size):
        print(_told(ratio))
        ratios.append(ratio)
    if arguments.store:
        print(f"stored {_store(size, ratios)}")
    print(msgspec.json.encode({ratio.name: round(ratio.ratio, 3) for ratio in ratios}).decode())


def _told(ratio: Ratio) -> str:
    budget = ""
    if ratio.most is not None or ratio.least is not None:
        bound = f"at most {ratio.most:g}" if ratio.most is not None else f"at least {ratio.least:g}"
        budget = f" ({bound}: {'kept' if ratio.is_kept else 'MISSED'})"
    sides = ", ".join(f"{side} {rate:,.0f}/s" for side, rate in ratio.decisions_per_second.items())
    return f"{ratio.name}: {ratio.ratio:.2f}{budget}\n    {ratio.of}\n    decisions: {sides}"


def _store(size: Size, ratios: list[Ratio]) -> Path:
    document: dict[str, Any] = {
        "measuredAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "size": size,
        "machine": fingerprint(),
        "ratios": [{**msgspec.to_builtins(ratio), "isKept": ratio.is_kept} for ratio in ratios],
    }
    BASELINES.mkdir(exist_ok=True)
    path = BASELINES / f"{datetime.now(UTC):%Y-%m-%d}-decide-micro.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    return path


if __name__ == "__main__":
    main()
