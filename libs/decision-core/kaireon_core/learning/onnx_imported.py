"""A model that somebody has trained elsewhere and imported as an ONNX graph: one call for all candidates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from kaireon_core.column import Column, Floats, Kind
from kaireon_core.learning.definitions import Name
from kaireon_core.learning.fallback import FallbackReason, Fallbacks
from kaireon_core.learning.model import Explanation, Fields, Scores
from kaireon_core.learning.onnx_graph import ElementType, GraphInput, GraphOutput, OnnxGraph
from kaireon_core.problems import InvalidValue, Problem
from kaireon_core.table import Axis

# What counts for a candidate that the graph has no sound score for.
FALLBACK_SCORE = 0.5
# Customers are scored in chunks of at most this many numbers (64 MB); one customer is always one chunk.
_CHUNK_CELLS = 8_000_000
_MAX_FEATURES = 10_000

Feed: TypeAlias = Mapping[str, NDArray[Any]]
# From the graph's inputs, n rows each, to n scores; or why there are none. It raises nothing.
Predict: TypeAlias = Callable[[Feed], Floats | FallbackReason]
Default: TypeAlias = bool | int | float | str
FeatureNames: TypeAlias = Annotated[tuple[Name, ...], Meta(min_length=1, max_length=_MAX_FEATURES)]
FeatureDefaults: TypeAlias = dict[Name, Default]


class OnnxState(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is known of an imported graph; its bytes are kept by their hash, and travel nowhere."""

    bytes_hash_sha256: str
    bytes_count: int
    feature_names: FeatureNames
    feature_defaults: FeatureDefaults
    inputs: tuple[GraphInput, ...]
    output: GraphOutput


def matched_inputs(graph: OnnxGraph, names: Sequence[str], defaults: Mapping[str, Default]) -> tuple[GraphInput, ...]:
    """Return the graph's inputs in the order in which they take the features: one takes all, or each takes its own.

    Raises `InvalidValue` with every name that does not fit.
    """
    last = {name: place for place, name in enumerate(names)}
    problems = [
        Problem(path=f"$.featureNames[{place}]", message="is named again")
        for place, name in enumerate(names)
        if place != last[name]
    ]
    problems += [_default_problem(name, "is no feature") for name in defaults if name not in last]
    inputs = {one.name: one for one in graph.inputs}
    only = graph.inputs[0]
    if len(inputs) == 1 and not (only.is_flat and len(names) > 1):
        if only.width not in (None, len(names)):
            message = f"the graph takes {only.width} features, and {len(names)} are named"
            problems.append(Problem(path="$.featureNames", message=message))
        matched = (msgspec.structs.replace(only, width=len(names)),)
    else:
        problems += _unmatched(inputs, names)
        matched = tuple(msgspec.structs.replace(inputs[name], width=1) for name in names if name in inputs)
    if not problems:
        types = [one.type for one in matched for _ in range(one.width or 1)]
        problems = [
            problem for name, type_ in zip(names, types, strict=True) for problem in _wrong(name, type_, defaults)
        ]
    if problems:
        raise InvalidValue(tuple(problems))
    return matched


def _unmatched(inputs: Mapping[str, GraphInput], names: Sequence[str]) -> list[Problem]:
    taken = ", ".join(map(repr, inputs))
    problems = [
        Problem(path=f"$.featureNames[{place}]", message=f"the graph has no input {name!r}; it takes {taken}")
        for place, name in enumerate(names)
        if name not in inputs
    ]
    missing = inputs.keys() - set(names)
    problems += [Problem(path="$.featureNames", message=f"the graph's input {name!r} is missing") for name in missing]
    wide = [one for one in inputs.values() if one.width not in (None, 1)]
    return problems + [
        Problem(
            path="$.file", message=f"input {one.name!r} takes {one.width} features; with several inputs each takes one"
        )
        for one in wide
    ]


def _wrong(name: str, type_: ElementType, defaults: Mapping[str, Default]) -> list[Problem]:
    if name not in defaults:
        needs_default = type_ in _WHOLE
        return (
            [_default_problem(name, f"is needed: a {type_} has no way to say that it is missing")]
            if needs_default
            else []
        )
    is_text = isinstance(defaults[name], str)
    if is_text == (type_ is ElementType.STRING):
        return []
    return [
        _default_problem(name, "must be a text" if type_ is ElementType.STRING else "must be a number or a boolean")
    ]


def _default_problem(name: str, message: str) -> Problem:
    return Problem(path=f"$.featureDefaults.{name}", message=message)


_DTYPES: dict[ElementType, type[Any]] = {
    ElementType.FLOAT: np.float32,
    ElementType.DOUBLE: np.float64,
    ElementType.INT32: np.int32,
    ElementType.INT64: np.int64,
    ElementType.BOOL: np.bool_,
    ElementType.STRING: np.object_,
}
# Types without NaN, and the largest number of each that is taken.
_WHOLE = {ElementType.BOOL: 1.0, ElementType.INT32: 2.0**31 - 1, ElementType.INT64: 2.0**53}


@dataclass(frozen=True, slots=True)
class _Encoder:
    """Turns columns of one feature into what its input takes; a value of another kind counts as missing."""

    type: ElementType
    default: Any

    @staticmethod
    def of(type_: ElementType, default: Default | None) -> _Encoder:
        missing: Default = "" if type_ is ElementType.STRING else np.nan
        return _Encoder(type_, missing if default is None else default)

    def encode(self, column: Column) -> NDArray[Any]:
        """Return one value per row."""
        if self.type is ElementType.STRING:
            return np.where(column.kinds == Kind.TEXT, column.objects, self.default)
        numbers = np.where(np.isnan(column.numbers), float(self.default), column.numbers)
        largest = _WHOLE.get(self.type)
        return numbers if largest is None else np.clip(numbers, -largest, largest)


@dataclass(frozen=True, slots=True)
class OnnxImported:
    """A compiled graph. Its score is what it answers, and raw is the same; nothing is explained."""

    fields: tuple[str, ...]
    _inputs: tuple[GraphInput, ...]
    _encoders: tuple[_Encoder, ...]
    _predict: Predict

    @staticmethod
    def compile(state: OnnxState, predict: Predict) -> OnnxImported:
        """Return the model of a state; `predict` runs its graph."""
        types = [one.type for one in state.inputs for _ in range(one.width or 1)]
        named = zip(types, state.feature_names, strict=True)
        encoders = tuple(_Encoder.of(type_, state.feature_defaults.get(name)) for type_, name in named)
        return OnnxImported(state.feature_names, state.inputs, encoders, predict)

    def score(self, table: Fields) -> Scores:
        """Return the scores, shape (B, 1) when no feature depends on the candidate, (1, C) when all of them do."""
        found = [table.column(name) for name in self.fields]
        axes = [axis for _, axis in found]
        encoded = [encoder.encode(column) for encoder, (column, _) in zip(self._encoders, found, strict=True)]
        rows = table.customers if Axis.CUSTOMER in axes else 1
        columns = table.candidates if Axis.CANDIDATE in axes else 1
        values, fallbacks = np.full((rows, columns), FALLBACK_SCORE), np.zeros((rows, columns), np.int8)
        step = max(1, _CHUNK_CELLS // max(1, columns * len(encoded)))
        for start in range(0, rows, step):
            part = slice(start, min(rows, start + step))
            cells = [one[part, None] if axis is Axis.CUSTOMER else one for one, axis in zip(encoded, axes, strict=True)]
            self._fill(cells, values[part], fallbacks[part])
        return Scores(values, values, fallbacks if fallbacks.any() else None)

    def explain(self, table: Fields, customer: int, candidate: int) -> Explanation:
        """Return the score as it is: what happens in a graph is not known."""
        row = [
            encoder.encode(column.take(np.array([customer if axis is Axis.CUSTOMER else candidate])))
            for encoder, (column, axis) in zip(self._encoders, map(table.column, self.fields), strict=True)
        ]
        value = np.full((1, 1), FALLBACK_SCORE)
        self._fill(row, value, np.zeros((1, 1), np.int8))
        return Explanation(base=float(value.item()), contributions=())

    def bound(self, candidates: Fields) -> None:
        """Return None: there is nothing to be made once."""
        del candidates

    def _fill(self, cells: Sequence[NDArray[Any]], values: Floats, fallbacks: Fallbacks) -> None:
        """Write the scores of (rows, columns) cells, each feature's broadcastable to that, and why some have none."""
        scores = self._predict(self._feed(cells, values.shape)) if values.size else np.zeros(0)
        if isinstance(scores, FallbackReason):
            fallbacks[:] = scores.code
            return
        found = scores.reshape(values.shape)
        is_sound = np.isfinite(found)
        values[is_sound] = found[is_sound]
        fallbacks[~is_sound] = FallbackReason.MALFORMED.code

    def _feed(self, cells: Sequence[NDArray[Any]], shape: tuple[int, ...]) -> dict[str, NDArray[Any]]:
        feed = dict[str, NDArray[Any]]()
        rest = iter(cells)
        for one in self._inputs:
            matrix = np.empty((*shape, one.width or 1), _DTYPES[one.type])
            # What no float32 holds is infinite there.
            with np.errstate(over="ignore"):
                for place in range(matrix.shape[-1]):
                    matrix[..., place] = next(rest)
            feed[one.name] = matrix.reshape(-1) if one.is_flat else matrix.reshape(-1, matrix.shape[-1])
        return feed
