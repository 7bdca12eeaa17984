"""What an ONNX file asks for and answers, read without running it, and what of it nobody should run.

The numbers of fields are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

import msgspec

from kaireon_core.learning.protobuf import DamagedMessage, Parts
from kaireon_core.problems import InvalidValue, Problem

_PATH = "$.file"
_MAX_NESTING = 16
_MAX_CLASSES = 2
_OWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
# It may run for ever, and nothing in the file says for how long.
_REFUSED_OPERATORS = frozenset({"Loop"})


class ElementType(StrEnum):
    """What an input of a graph takes."""

    FLOAT = "float"
    DOUBLE = "double"
    INT32 = "int32"
    INT64 = "int64"
    BOOL = "bool"
    STRING = "string"


_ELEMENT_TYPES = {
    1: ElementType.FLOAT,
    6: ElementType.INT32,
    7: ElementType.INT64,
    8: ElementType.STRING,
    9: ElementType.BOOL,
    11: ElementType.DOUBLE,
}


class GraphInput(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One input: `width` values for each row, None for any number; `is_flat` where it has one axis only, the rows."""

    name: str
    type: ElementType
    width: int | None = None
    is_flat: bool = False


class GraphOutput(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The tensor that the scores stand in; `is_inner` where the graph answers a ZipMap of it, and not itself."""

    tensor: str
    is_inner: bool = False


class OnnxGraph(msgspec.Struct, frozen=True, kw_only=True):
    """What must be known of a graph to score with it."""

    inputs: tuple[GraphInput, ...]
    output: GraphOutput


def refused(message: str) -> InvalidValue:
    """Return the error for a file that is not taken."""
    return InvalidValue((Problem(path=_PATH, message=message),))


def read_graph(content: bytes) -> OnnxGraph:
    """Return what a file asks for and answers. Raises `InvalidValue` when it is no ONNX, or none to be run here."""
    try:
        model = Parts(memoryview(content), 1, 7, 20, 25)
        graph = model.message(7)
        if model.number(1) and graph is not None:
            _check_model(model, graph)
            return _signature(graph)
    except DamagedMessage:
        pass
    raise refused("is not an ONNX model")


def _check_model(model: Parts, graph: memoryview) -> None:
    if model.messages(20):
        raise refused("has training information; export it for inference")
    functions = [Parts(one, 7, 10, 11) for one in model.messages(25)]
    domains = _OWN_DOMAINS | {function.text(10) for function in functions}
    for function in functions:
        _check_nodes(function.messages(7), domains, 0)
        _check_attributes(function.messages(11), domains, 0)
    _check_graph(graph, domains, 0)


def _check_graph(graph: memoryview, domains: frozenset[str], depth: int) -> None:
    """Raise `InvalidValue` for what is not run: weights elsewhere, operators of others, loops without an end."""
    if depth > _MAX_NESTING:
        raise refused(f"has graphs nested deeper than {_MAX_NESTING}")
    parts = Parts(graph, 1, 5, 15)
    _check_tensors(parts.messages(5))
    _check_sparse(parts.messages(15))
    _check_nodes(parts.messages(1), domains, depth)


def _check_nodes(nodes: list[memoryview], domains: frozenset[str], depth: int) -> None:
    for node in nodes:
        parts = Parts(node, 4, 5, 7)
        operator, domain = parts.text(4), parts.text(7)
        if domain not in domains:
            raise refused(f"uses {operator!r} of {domain!r}; only operators of ONNX itself are run")
        if operator in _REFUSED_OPERATORS:
            raise refused(f"uses {operator!r}, whose time to run has no bound")
        _check_attributes(parts.messages(5), domains, depth)


def _check_attributes(attributes: list[memoryview], domains: frozenset[str], depth: int) -> None:
    for attribute in attributes:
        parts = Parts(attribute, 5, 6, 10, 11, 22, 23)
        _check_tensors([*parts.messages(5), *parts.messages(10)])
        _check_sparse([*parts.messages(22), *parts.messages(23)])
        for graph in (*parts.messages(6), *parts.messages(11)):
            _check_graph(graph, domains, depth + 1)


def _check_sparse(tensors: list[memoryview]) -> None:
    for tensor in tensors:
        parts = Parts(tensor, 1, 2)
        _check_tensors([*parts.messages(1), *parts.messages(2)])


def _check_tensors(tensors: list[memoryview]) -> None:
    for tensor in tensors:
        parts = Parts(tensor, 13, 14)
        if parts.messages(13) or parts.number(14):
            raise refused("keeps weights in other files; export it as one file")


def _signature(graph: memoryview) -> OnnxGraph:
    parts = Parts(graph, 1, 5, 11, 12)
    # Before version 4 of the format weights are inputs, too.
    weights = {Parts(one, 8).text(8) for one in parts.messages(5)}
    named = [(Parts(one, 1).text(1), _tensor_of(one)) for one in parts.messages(11)]
    inputs = tuple(_input(name, tensor) for name, tensor in named if name not in weights)
    if not inputs:
        raise refused("takes no input")
    return OnnxGraph(inputs=inputs, output=_output(parts))


class _Tensor(msgspec.Struct, frozen=True):
    """A tensor's type: the number of its element type, and its axes (None where any length will do); None: unknown."""

    element: int
    axes: list[int | None] | None


def _tensor_of(value: memoryview) -> _Tensor | None:
    """Return the tensor that an input or output is, None where it is something else."""
    type_ = Parts(value, 2).message(2)
    tensor = Parts(type_, 1).message(1) if type_ is not None else None
    if tensor is None:
        return None
    parts = Parts(tensor, 1, 2)
    shape = parts.message(2)
    axes = None if shape is None else [Parts(one, 1).number(1) for one in Parts(shape, 1).messages(1)]
    return _Tensor(parts.number(1) or 0, axes)


def _input(name: str, tensor: _Tensor | None) -> GraphInput:
    type_ = _ELEMENT_TYPES.get(tensor.element) if tensor else None
    if tensor is None or type_ is None:
        raise refused(f"input {name!r} must be a tensor of one of: {', '.join(ElementType)}")
    axes = tensor.axes if tensor.axes is not None else [None, None]
    match axes:
        case [int(), *_]:
            raise refused(f"input {name!r} takes a fixed number of rows; export it with a first axis of any length")
        case [_]:
            return GraphInput(name=name, type=type_, width=1, is_flat=True)
        case [_, width]:
            return GraphInput(name=name, type=type_, width=width)
        case _:
            raise refused(f"input {name!r} must have one axis or two: rows, and their features")


def _output(graph: Parts) -> GraphOutput:
    """Return the first output that can be scores: numbers, or maps from class to number; labels are passed over."""
    maps = dict(_zip_maps(graph.messages(1)))
    for output in graph.messages(12):
        name, tensor = Parts(output, 1).text(1), _tensor_of(output)
        found = _scores(name, tensor, maps)
        if found is not None:
            return found
    raise refused("has no output of float numbers for the scores: one column, or two of which the second is scored")


def _scores(name: str, tensor: _Tensor | None, maps: Mapping[str, str]) -> GraphOutput | None:
    if tensor is None:
        return GraphOutput(tensor=maps[name], is_inner=True) if name in maps else None
    if _ELEMENT_TYPES.get(tensor.element) not in (ElementType.FLOAT, ElementType.DOUBLE):
        return None
    match tensor.axes:
        case [_, int(classes)] if classes > _MAX_CLASSES:
            raise refused(f"output {name!r} has {classes} columns; a score is one number, or the second of two")
        case [_, _, _, *_]:
            raise refused(f"output {name!r} must have one axis or two: rows, and their classes")
        case _:
            return GraphOutput(tensor=name)


def _zip_maps(nodes: list[memoryview]) -> Iterator[tuple[str, str]]:
    """Yield the output and the input of every node that makes maps of rows."""
    for node in nodes:
        parts = Parts(node, 1, 2, 4)
        if parts.text(4) == "ZipMap":
            for source, target in zip(parts.texts(1), parts.texts(2), strict=False):
                yield target, source


def with_inner_output(content: bytes, output: GraphOutput) -> bytes:
    """Return a file whose graph answers this tensor, too: messages that are laid end to end are merged."""
    if not output.is_inner:
        return content
    value = _message(1, output.tensor.encode())
    return content + _message(7, _message(12, value))


def _message(number: int, content: bytes) -> bytes:
    size, length = len(content), bytearray()
    while size > 0x7F:  # noqa: PLR2004 - seven bits to a byte
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content
