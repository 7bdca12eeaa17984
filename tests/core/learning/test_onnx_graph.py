"""What an ONNX file asks for and answers, read without a runtime; and files that are not taken."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.learning.onnx_graph import ElementType, GraphInput, GraphOutput, OnnxGraph, read_graph
from kaireon_core.learning.onnx_imported import matched_inputs
from kaireon_core.problems import InvalidValue
from tests import onnx_graphs as onnx

X = onnx.value_info("X", onnx.FLOAT, (None, 2))
SCORE = onnx.value_info("score", onnx.FLOAT, (None, 1))
SIGMOID = onnx.node("Sigmoid", ["X"], ["score"])


def file_of(*nodes: bytes, inputs: tuple[bytes, ...] = (X,), outputs: tuple[bytes, ...] = (SCORE,)) -> bytes:
    return onnx.model(onnx.graph(nodes or [SIGMOID], inputs, outputs))


def input_of(name: str, element: int = onnx.FLOAT, axes: tuple[int | None, ...] | None = (None, 1)) -> bytes:
    return onnx.value_info(name, element, axes)


MATRIX = GraphInput(name="X", type=ElementType.FLOAT, width=2)
READ: list[tuple[bytes, OnnxGraph]] = [
    (onnx.logistic([1.0, 2.0], 0.5), OnnxGraph(inputs=(MATRIX,), output=GraphOutput(tensor="score"))),
    (
        onnx.classifier([1.0, 2.0], 0.5, zip_map=False),
        OnnxGraph(inputs=(MATRIX,), output=GraphOutput(tensor="probabilities")),
    ),
    (
        onnx.classifier([1.0, 2.0], 0.5, zip_map=True),
        OnnxGraph(inputs=(MATRIX,), output=GraphOutput(tensor="probabilities", is_inner=True)),
    ),
    (
        file_of(
            inputs=(
                input_of("age", onnx.INT64),
                input_of("tier", onnx.STRING, (None,)),
                input_of("vip", onnx.BOOL, (None, None)),
                input_of("rest", onnx.DOUBLE, None),
            )
        ),
        OnnxGraph(
            inputs=(
                GraphInput(name="age", type=ElementType.INT64, width=1),
                GraphInput(name="tier", type=ElementType.STRING, width=1, is_flat=True),
                GraphInput(name="vip", type=ElementType.BOOL),
                GraphInput(name="rest", type=ElementType.DOUBLE),
            ),
            output=GraphOutput(tensor="score"),
        ),
    ),
]


@pytest.mark.parametrize(("content", "graph"), READ)
def test_a_graph_says_what_it_takes_and_where_its_scores_stand(content: bytes, graph: OnnxGraph) -> None:
    assert read_graph(content) == graph


def test_weights_that_are_inputs_too_are_no_features() -> None:
    weight = onnx.tensor("w", (2, 1), [1.0, 2.0])
    content = onnx.model(onnx.graph([SIGMOID], [X, onnx.value_info("w", onnx.FLOAT, (2, 1))], [SCORE], [weight]))
    assert [one.name for one in read_graph(content).inputs] == ["X"]


INNER = onnx.graph([onnx.node("Evil", ["X"], ["y"], "com.example")], [], [])
EXTERNAL = onnx.tensor("w", (1,), [1.0]) + onnx.field(13, onnx.field(1, "location") + onnx.field(2, "/etc/passwd"))
ELSEWHERE = onnx.tensor("w", (1,), [1.0]) + onnx.field(14, 1)
FUNCTION = onnx.field(25, onnx.field(1, "F") + onnx.field(10, "mine") + onnx.field(7, onnx.node("Loop", ["X"], ["y"])))
WIDE = onnx.value_info("score", onnx.FLOAT, (None, 3))
LABEL = onnx.value_info("label", onnx.INT64, (None,))
REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "not an ONNX model"),
    "text": (b"PK\x03\x04 this is a zip", "not an ONNX model"),
    "cut off": (onnx.logistic([1.0], 0.0)[:-9], "not an ONNX model"),
    "no graph": (onnx.field(1, 8), "not an ONNX model"),
    "no version": (onnx.field(7, onnx.graph([SIGMOID], [X], [SCORE])), "not an ONNX model"),
    "no text": (file_of(onnx.node("Sigmoid", ["X"], ["y"]) + onnx.field(7, b"\xff")), "not an ONNX model"),
    "somebody's operator": (file_of(onnx.node("Evil", ["X"], ["score"], "com.example")), "'Evil' of 'com.example'"),
    "in a branch": (file_of(onnx.node("If", ["X"], ["score"], then_branch=INNER)), "'Evil' of 'com.example'"),
    "a loop": (file_of(onnx.node("Loop", ["X"], ["score"])), "'Loop'"),
    "a loop in a function": (onnx.model(onnx.graph([SIGMOID], [X], [SCORE]), extra=FUNCTION), "'Loop'"),
    "weights by path": (onnx.model(onnx.graph([SIGMOID], [X], [SCORE], [EXTERNAL])), "other files"),
    "weights elsewhere": (onnx.model(onnx.graph([SIGMOID], [X], [SCORE], [ELSEWHERE])), "other files"),
    "a constant by path": (file_of(SIGMOID + onnx.field(5, onnx.field(1, "value") + onnx.field(5, EXTERNAL))), "other"),
    # Two graphs are one for whoever reads the whole file: the second may not hide anything.
    "a second graph": (
        onnx.logistic([1.0, 2.0], 0.0) + onnx.field(7, onnx.field(1, onnx.node("Loop", ["X"], ["y"]))),
        "'Loop'",
    ),
    "training": (onnx.model(onnx.graph([SIGMOID], [X], [SCORE]), extra=onnx.field(20, b"\x0a\x00")), "training"),
    "no input": (file_of(inputs=()), "takes no input"),
    "images": (file_of(inputs=(input_of("X", axes=(None, 3, 8, 8)),)), "one axis or two"),
    "one row": (file_of(inputs=(input_of("X", axes=(1, 2)),)), "fixed number of rows"),
    "half floats": (file_of(inputs=(input_of("X", 10),)), "must be a tensor of one of"),
    "three classes": (file_of(outputs=(WIDE,)), "3 columns"),
    "a cube": (file_of(outputs=(onnx.value_info("score", onnx.FLOAT, (None, 2, 2)),)), "one axis or two"),
    "labels only": (file_of(outputs=(LABEL,)), "no output of float numbers"),
    "maps of something else": (file_of(outputs=(onnx.sequence_of_maps("score"),)), "no output of float numbers"),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_run_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        read_graph(content)


def test_graphs_in_graphs_have_an_end() -> None:
    inner = onnx.graph([], [], [])
    for _ in range(40):
        inner = onnx.graph([onnx.node("If", ["X"], ["score"], then_branch=inner)], [], [])
    with pytest.raises(InvalidValue, match="nested deeper"):
        read_graph(file_of(onnx.node("If", ["X"], ["score"], then_branch=inner)))


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 20))
def test_damaged_files_are_refused_and_raise_nothing_else(noise: bytes, place: int, length: int) -> None:
    content = onnx.classifier([1.0, 2.0], 0.5, zip_map=True)
    damaged = content[:place] + noise + content[place + length :]
    with suppress(InvalidValue):
        read_graph(damaged)


COLUMNS = OnnxGraph(
    inputs=(
        GraphInput(name="age", type=ElementType.INT64, width=1),
        GraphInput(name="tier", type=ElementType.STRING, width=1),
        GraphInput(name="income", type=ElementType.FLOAT),
    ),
    output=GraphOutput(tensor="score"),
)
ONE = OnnxGraph(inputs=(MATRIX,), output=GraphOutput(tensor="score"))
WIDE_COLUMNS = OnnxGraph(
    inputs=(MATRIX, GraphInput(name="y", type=ElementType.FLOAT)), output=GraphOutput(tensor="score")
)
MISFITS: list[tuple[OnnxGraph, list[str], dict[str, bool | int | float | str], list[str]]] = [
    (ONE, ["a"], {}, ["$.featureNames"]),
    (ONE, ["a", "b", "c"], {}, ["$.featureNames"]),
    (ONE, ["a", "a"], {}, ["$.featureNames[0]"]),
    (ONE, ["a", "b"], {"c": 1, "d": 2}, ["$.featureDefaults.c", "$.featureDefaults.d"]),
    (ONE, ["a", "b"], {"a": "text"}, ["$.featureDefaults.a"]),
    (COLUMNS, ["age", "tier", "salary"], {"age": 0}, ["$.featureNames[2]", "$.featureNames"]),
    (COLUMNS, ["age", "tier"], {"age": 0}, ["$.featureNames"]),
    (COLUMNS, ["age", "tier", "income"], {}, ["$.featureDefaults.age"]),
    (COLUMNS, ["age", "tier", "income"], {"age": 0, "tier": 1}, ["$.featureDefaults.tier"]),
    (WIDE_COLUMNS, ["X", "y"], {}, ["$.file"]),
]


@pytest.mark.parametrize(("graph", "names", "defaults", "paths"), MISFITS)
def test_features_that_a_graph_does_not_take_are_told(
    graph: OnnxGraph, names: list[str], defaults: dict[str, bool | int | float | str], paths: list[str]
) -> None:
    with pytest.raises(InvalidValue) as caught:
        matched_inputs(graph, names, defaults)
    assert [problem.path for problem in caught.value.problems] == paths


def test_inputs_are_taken_in_the_order_of_the_features() -> None:
    matched = matched_inputs(COLUMNS, ["income", "age", "tier"], {"age": 40})
    assert [(one.name, one.width) for one in matched] == [("income", 1), ("age", 1), ("tier", 1)]
    assert matched_inputs(ONE, ["whatever", "else"], {}) == (MATRIX,)
