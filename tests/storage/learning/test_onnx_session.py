"""Imported graphs on the real runtime: every form of output, whoever is scored beside; what goes wrong."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.column import Column
from kaireon_core.learning.compile import ModelNotReady, compile_model
from kaireon_core.learning.fallback import FallbackReason
from kaireon_core.learning.model import Model, RowTable, Scores
from kaireon_core.learning.onnx_graph import read_graph
from kaireon_core.learning.onnx_imported import Default, OnnxState, matched_inputs
from kaireon_core.table import CustomerFacts, Table
from kaireon_storage.learning.onnx_session import RunWatch, load_session
from tests import onnx_graphs as onnx

WEIGHTS, BIAS = [0.5, -1.0, 0.25], 0.1
NAMES: tuple[str, ...] = ("income", "debt", "offer.price")


def no_trees(_text: str) -> Any:
    raise AssertionError


def model_of(
    content: bytes, names: tuple[str, ...] = NAMES, watch: RunWatch | None = None, **defaults: Default
) -> Model:
    graph = read_graph(content)
    state = OnnxState(
        bytes_hash_sha256="hash",
        bytes_count=len(content),
        feature_names=names,
        feature_defaults=defaults,
        inputs=matched_inputs(graph, names, defaults),
        output=graph.output,
    )
    graphs = {"hash": load_session(content, graph.output, watch or RunWatch())}
    return compile_model("onnx_imported", {}, msgspec.to_builtins(state), no_trees, graphs)


def expected(rows: list[dict[str, Any]]) -> list[float]:
    matrix = np.array([[row[name] for name in NAMES] for row in rows], np.float64)
    return (1 / (1 + np.exp(-(matrix @ np.array(WEIGHTS) + BIAS)))).tolist()


def reasons(scores: Scores) -> set[int]:
    return set() if scores.fallbacks is None else set(scores.fallbacks.ravel().tolist())


GRAPHS = {
    "[n, 1]": onnx.logistic(WEIGHTS, BIAS),
    "[n, 2]": onnx.classifier(WEIGHTS, BIAS, zip_map=False),
    "ZipMap": onnx.classifier(WEIGHTS, BIAS, zip_map=True),
    "ZipMap of a tensor with a long name": onnx.classifier(WEIGHTS, BIAS, zip_map=True, inner="p" * 300),
}
MODELS = {name: model_of(content) for name, content in GRAPHS.items()}
numbers = st.floats(-50, 50, width=32)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(NAMES, numbers)), min_size=1, max_size=40), st.data())
def test_a_row_has_the_same_score_alone_and_among_others(
    model: Model, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    together = model.score(RowTable(rows)).values[:, 0].tolist()
    assert together == pytest.approx(expected(rows), abs=1e-6)
    place = data.draw(st.integers(0, len(rows) - 1))
    assert model.score(RowTable([rows[place]])).values.item() == together[place]
    assert model.explain(RowTable(rows), place, 0).base == together[place]


def test_candidates_are_scored_in_one_call_for_all_customers() -> None:
    prices = Column.from_values([1.0, 2.0, 3.0, 4.0])
    facts = [CustomerFacts(row, {}, {}, {}) for row in ({"income": 1, "debt": 2}, {"income": 3, "debt": 4})]
    table = Table.of(facts, {"offer.price": prices}, 4)
    calls: list[int] = []
    graph = read_graph(GRAPHS["[n, 1]"])
    session = load_session(GRAPHS["[n, 1]"], graph.output, RunWatch())

    def counted(feed: Any) -> Any:
        calls.append(len(feed["X"]))
        return session(feed)

    state: dict[str, Any] = {"featureNames": NAMES, "featureDefaults": {}, "bytesHashSha256": "h", "bytesCount": 1}
    state |= msgspec.to_builtins({"inputs": matched_inputs(graph, NAMES, {}), "output": graph.output})
    model = compile_model("onnx_imported", {}, state, no_trees, {"h": counted})
    scores = model.score(table)
    assert calls == [8]
    rows = [dict(zip(NAMES, (*pair, price), strict=True)) for pair in ((1, 2), (3, 4)) for price in (1, 2, 3, 4)]
    assert scores.values.ravel().tolist() == pytest.approx(expected(rows), abs=1e-6)


COLUMNS = onnx.model(
    onnx.graph(
        [
            onnx.node("Cast", ["age"], ["a"], to=onnx.FLOAT),
            onnx.node("Cast", ["vip"], ["v"], to=onnx.FLOAT),
            onnx.node(
                "LabelEncoder",
                ["tier"],
                ["t"],
                "ai.onnx.ml",
                keys_strings=["gold"],
                values_floats=[10.0],
                default_float=1.0,
            ),
            onnx.node("Add", ["a", "v"], ["av"]),
            onnx.node("Add", ["av", "t"], ["score"]),
        ],
        [
            onnx.value_info("age", onnx.INT64, (None, 1)),
            onnx.value_info("tier", onnx.STRING, (None, 1)),
            onnx.value_info("vip", onnx.BOOL, (None, 1)),
        ],
        [onnx.value_info("score", onnx.FLOAT, (None, 1))],
    )
)
ROWS: list[tuple[dict[str, Any], float]] = [
    ({"age": 30, "tier": "gold", "vip": True}, 41.0),
    ({"age": 30.9, "tier": "tin", "vip": False}, 31.0),
    ({}, 51.0),
    ({"age": "old", "tier": 7, "vip": None}, 51.0),
    ({"age": True, "tier": "gold", "vip": 1}, 12.0),
    ({"age": 1e300, "tier": "gold"}, 2.0**53 + 10),
]


def test_each_input_takes_its_feature_and_missing_ones_their_default() -> None:
    model = model_of(COLUMNS, ("tier", "age", "vip"), age=50, vip=False)
    scores = model.score(RowTable([row for row, _ in ROWS]))
    assert scores.values[:, 0].tolist() == pytest.approx([score for _, score in ROWS], rel=1e-6)
    assert scores.fallbacks is None


def test_a_score_that_is_no_number_has_a_stand_in_and_its_neighbours_none() -> None:
    scores = MODELS["[n, 1]"].score(RowTable([{"income": 1, "debt": 1, "offer.price": 1}, {"income": 1}]))
    assert scores.fallbacks is not None
    assert scores.fallbacks[:, 0].tolist() == [0, FallbackReason.MALFORMED.code]
    assert scores.values[1, 0] == 0.5
    assert scores.values[0, 0] == pytest.approx(expected([dict.fromkeys(NAMES, 1)])[0], abs=1e-6)


def graph_of(*nodes: bytes, weights: tuple[bytes, ...] = (), out: int = onnx.FLOAT) -> bytes:
    inputs = [onnx.value_info("X", onnx.FLOAT, (None, 3))]
    return onnx.model(onnx.graph(nodes, inputs, [onnx.value_info("score", out, None)], weights))


SHAPE = onnx.tensor("shape", (2,), [7, 7], onnx.INT64)
FAILING = {
    "three columns": (graph_of(onnx.node("Sigmoid", ["X"], ["score"])), FallbackReason.MALFORMED),
    "one number for all": (graph_of(onnx.node("ReduceMean", ["X"], ["score"], keepdims=0)), FallbackReason.MALFORMED),
    "an error": (graph_of(onnx.node("Reshape", ["X", "shape"], ["score"]), weights=(SHAPE,)), FallbackReason.ERROR),
}


@pytest.mark.parametrize(("content", "reason"), FAILING.values(), ids=FAILING)
def test_whatever_a_graph_does_there_are_scores(content: bytes, reason: FallbackReason) -> None:
    scores = model_of(content).score(RowTable([{}, {}]))
    assert scores.values.tolist() == [[0.5], [0.5]]
    assert reasons(scores) == {reason.code}
    assert model_of(content).explain(RowTable([{}]), 0, 0).base == 0.5


def test_a_run_that_takes_too_long_is_ended() -> None:
    size = 1024
    products = [onnx.node("MatMul", [f"m{step}", "w"], [f"m{step + 1}"]) for step in range(200)]
    widen = onnx.node("MatMul", ["X", "first"], ["m0"])
    mean = onnx.node("ReduceMean", ["m200"], ["score"], axes=[1], keepdims=1)
    weights = onnx.tensor("w", (size, size), [0.0] * size**2), onnx.tensor("first", (3, size), [0.0] * 3 * size)
    model = model_of(graph_of(widen, *products, mean, weights=weights), watch=RunWatch(seconds=0.01))
    scores = model.score(RowTable([{"income": 1}] * 4096))
    assert reasons(scores) == {FallbackReason.TIMEOUT.code}
    assert set(scores.values.ravel().tolist()) == {0.5}


def test_what_the_runtime_does_not_take_is_not_ready() -> None:
    with pytest.raises(ModelNotReady, match="cannot be loaded"):
        model_of(graph_of(onnx.node("NoSuchOperator", ["X"], ["score"])))


def test_without_a_runtime_every_score_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    # What `import onnxruntime` meets where it is not installed.
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    model = model_of(GRAPHS["[n, 1]"])
    scores = model.score(RowTable([dict.fromkeys(NAMES, 1)] * 3))
    assert scores.values.tolist() == [[0.5]] * 3
    assert reasons(scores) == {FallbackReason.ONNX_RUNTIME_MISSING.code}


def test_nobody_is_scored_without_a_call() -> None:
    assert MODELS["[n, 1]"].score(RowTable([])).values.shape == (0, 1)
