"""`kaireon evaluate` from files alone."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.cli.test_commands import assert_refused, kaireon

if TYPE_CHECKING:
    from pathlib import Path

TABLE = {"type": "table", "by": "slot", "probabilities": {"1": {"a": 0.9, "b": 0.1}}}


def logged(count: int = 2_000, **fields: Any) -> str:
    random = np.random.default_rng(0)
    rows = [
        {
            "decisionId": str(number),
            "slot": 1,
            "action": "a" if number % 2 else "b",
            "selectionProbability": 0.5,
            "reward": int(random.random() < 0.2),
            **fields,
        }
        for number in range(count)
    ]
    return "\n".join(json.dumps(row) for row in rows)


def evaluate(path: Path, log: str = "log.ndjson", target: object = TABLE, *options: str) -> Any:
    (path / "target.json").write_text(target if isinstance(target, str) else json.dumps(target))
    return kaireon("evaluate", "--log", str(path / log), "--target", str(path / "target.json"), *options)


def test_a_log_in_a_file_is_evaluated_without_a_server(tmp_path: Path) -> None:
    (tmp_path / "log.ndjson").write_text(logged())
    (tmp_path / "log.jsonl.gz").write_bytes(gzip.compress(logged().encode()))
    completed = evaluate(tmp_path, "log.ndjson", TABLE, "--json")
    assert completed.returncode == 0, completed.stderr
    found = json.loads(completed.stdout)
    assert set(found) == {"n", "estimators", "effectiveSampleSize", "overlap"}
    assert found["n"] == 2_000
    assert found["overlap"]["maxWeight"] == pytest.approx(1.8)
    assert found["estimators"]["ips"]["ciLower"] < 0.2 < found["estimators"]["ips"]["ciUpper"]
    packed = evaluate(tmp_path, "log.jsonl.gz", TABLE, "--json")
    assert packed.stdout == completed.stdout
    clipped = json.loads(evaluate(tmp_path, "log.ndjson", TABLE, "--json", "--clip", "1.5").stdout)
    assert clipped["clipping"] == {"clip": 1.5, "clippedRows": 1_000}
    told = evaluate(tmp_path)
    assert told.stdout.startswith("2000 rows")


def test_what_cannot_be_evaluated_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "log.ndjson").write_text(logged())
    (tmp_path / "small.ndjson").write_text(logged(50))
    (tmp_path / "unrewarded.ndjson").write_text(logged(reward=0))
    (tmp_path / "bad.ndjson").write_text(logged(3) + '\n{"decisionId": "x"}')
    (tmp_path / "log.txt").write_text(logged())
    (tmp_path / "broken.ndjson.gz").write_bytes(b"no gzip")
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    assert_refused(evaluate(tmp_path, "small.ndjson"), "insufficient_overlap")
    assert_refused(evaluate(tmp_path, "unrewarded.ndjson"), "insufficient_rewards")
    assert_refused(evaluate(tmp_path, "bad.ndjson"), "bad.ndjson", "$[3].action")
    assert_refused(evaluate(tmp_path, "log.txt"), "log.txt", ".parquet")
    assert_refused(evaluate(tmp_path, "none.ndjson"), "none.ndjson", "No such file")
    assert_refused(evaluate(tmp_path, "broken.ndjson.gz"), "broken.ndjson.gz")
    assert_refused(evaluate(tmp_path, "broken.parquet"), "broken.parquet", "Parquet")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("{", "target.json"),
        ({"type": "table", "probabilities": {"1": {"a": 0.9, "b": 0.2}}}, "above 1"),
        ({"type": "table", "probabilities": {"2": {"a": 0.9}}}, "$.probabilities.2"),
        ({"type": "model", "modelKey": "m"}, "a model is evaluated by the API"),
        ({"type": "table"}, "$.probabilities"),
    ],
)
def test_a_target_that_is_none_is_refused(tmp_path: Path, target: object, said: str) -> None:
    (tmp_path / "log.ndjson").write_text(logged())
    assert_refused(evaluate(tmp_path, "log.ndjson", target), said)
