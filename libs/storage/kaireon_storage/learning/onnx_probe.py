"""Look at a graph that somebody sends, in a process of its own: `python -m kaireon_storage.learning.onnx_probe`.

It reads one line of JSON, `Question`, and then the file; it writes `Finding` as JSON. Whatever the file does to the
runtime, only this process ends, and it has neither settings nor connections.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from kaireon_core.learning.compile import ModelNotReady
from kaireon_core.learning.model import RowTable
from kaireon_core.learning.onnx_graph import GraphInput, GraphOutput, read_graph, refused
from kaireon_core.learning.onnx_imported import Feed, OnnxImported, OnnxState, Predict, matched_inputs
from kaireon_core.problems import InvalidValue, Problem
from kaireon_storage.learning.onnx_session import GraphFailed, OnnxSession, RunWatch, load_session

_MAX_MEMORY_BYTES = 4 * 1024**3
_MAX_PROCESSOR_SECONDS = 60
_ROWS = 20
_TOLERANCE = 1e-4


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What the features of the graph are to be."""

    names: tuple[str, ...]
    defaults: dict[str, bool | int | float | str]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What the graph is, or what is wrong with it."""

    inputs: tuple[GraphInput, ...] = ()
    output: GraphOutput | None = None
    problems: tuple[Problem, ...] = ()


def finding_of(content: bytes, question: Question) -> Finding:
    """Return what a graph is, once it has scored where there is a runtime."""
    try:
        graph = read_graph(content)
        inputs = matched_inputs(graph, question.names, question.defaults)
        state = OnnxState(
            bytes_hash_sha256="",
            bytes_count=len(content),
            feature_names=question.names,
            feature_defaults=question.defaults,
            inputs=inputs,
            output=graph.output,
        )
        predict = load_session(content, graph.output, RunWatch())
        if isinstance(predict, OnnxSession):
            _try_out(state, predict)
    except InvalidValue as error:
        return Finding(problems=error.problems)
    except ModelNotReady as error:
        return Finding(problems=refused(str(error)).problems)
    return Finding(inputs=inputs, output=graph.output)


def _try_out(state: OnnxState, session: OnnxSession) -> None:
    """Score a row alone and among others. Raises `InvalidValue` where that fails, or is not the same."""

    def predict(feed: Feed) -> Any:
        try:
            return session.scores(feed)
        except GraphFailed as error:
            raise refused(f"cannot score: {error}") from error

    ones = dict.fromkeys(state.feature_names, 1) | state.feature_defaults
    twos = dict.fromkeys(state.feature_names, 2)
    alone, among = (_scored(state, predict, [ones, *others]) for others in ([], [twos] * _ROWS))
    if not np.isclose(alone, among, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True):
        raise refused("scores a row in another way when others are beside it")


def _scored(state: OnnxState, predict: Predict, rows: list[Mapping[str, Any]]) -> float:
    return float(OnnxImported.compile(state, predict).score(RowTable(rows)).values[0, 0])


def main() -> None:
    """Answer the question on the standard input."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_MAX_PROCESSOR_SECONDS, _MAX_PROCESSOR_SECONDS))
    question = msgspec.json.decode(sys.stdin.buffer.readline(), type=Question)
    finding = finding_of(sys.stdin.buffer.read(), question)
    sys.stdout.buffer.write(msgspec.json.encode(finding))


if __name__ == "__main__":
    main()
