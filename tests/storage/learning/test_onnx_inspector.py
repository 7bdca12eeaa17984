"""Looking at graphs in a process of its own: what it says, and what happens to it."""

from __future__ import annotations

import pytest

from kaireon_application.errors import InvalidInput
from kaireon_core.learning.onnx_graph import GraphOutput
from kaireon_storage.learning import onnx_inspector
from kaireon_storage.learning.onnx_inspector import OnnxInspector
from tests import onnx_graphs as onnx

CONTENT = onnx.logistic([1.0, 2.0], 0.0)


async def test_a_sound_graph_is_described() -> None:
    found = await OnnxInspector()(CONTENT, ("a", "b"), {})
    assert found.output == GraphOutput(tensor="score")


async def test_looking_has_an_end() -> None:
    with pytest.raises(InvalidInput, match=r"\$\.file: takes longer than 0 s"):
        await OnnxInspector(max_seconds=0)(CONTENT, ("a", "b"), {})


async def test_a_process_that_ends_badly_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_inspector, "_COMMAND", ("/bin/sh", "-c", "cat > /dev/null; kill -SEGV $$"))
    with pytest.raises(InvalidInput, match="cannot be read by the runtime"):
        await OnnxInspector()(CONTENT, ("a", "b"), {})
    monkeypatch.setattr(onnx_inspector, "_COMMAND", ("/bin/sh", "-c", "exit 1"))
    with pytest.raises(InvalidInput, match="cannot be read by the runtime"):
        await OnnxInspector()(CONTENT * 20_000, ("a", "b"), {})


async def test_a_graph_that_wants_all_memory_ends_its_process_only() -> None:
    shape = onnx.tensor("shape", (2,), [10**6, 10**6], onnx.INT64)
    greedy = onnx.model(
        onnx.graph(
            [
                onnx.node("ConstantOfShape", ["shape"], ["huge"]),
                onnx.node("ReduceSum", ["huge"], ["sum"], keepdims=0),
                onnx.node("MatMul", ["X", "w"], ["z"]),
                onnx.node("Add", ["z", "sum"], ["score"]),
            ],
            [onnx.value_info("X", onnx.FLOAT, (None, 2))],
            [onnx.value_info("score", onnx.FLOAT, None)],
            [shape, onnx.tensor("w", (2, 1), [1.0, 2.0])],
        )
    )
    with pytest.raises(InvalidInput, match=r"\$\.file"):
        await OnnxInspector()(greedy, ("a", "b"), {})
