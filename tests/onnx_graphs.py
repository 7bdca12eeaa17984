"""ONNX graphs written by hand: a tiny encoder of Protocol Buffers, and the graphs that converters write.

The numbers of fields are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

FLOAT, INT32, INT64, STRING, BOOL, DOUBLE = 1, 6, 7, 8, 9, 11
_FORMATS = {FLOAT: "f", INT64: "q", DOUBLE: "d"}


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: str | bytes | float) -> bytes:
    """One field: a number as a varint, a float in 32 bits, text and messages with their length."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def tensor(name: str, shape: Sequence[int], values: Sequence[float], element: int = FLOAT) -> bytes:
    raw = struct.pack(f"<{len(values)}{_FORMATS[element]}", *values)
    dims = b"".join(field(1, one) for one in shape)
    return dims + field(2, element) + field(8, name) + field(9, raw)


def value_info(name: str, element: int, axes: Sequence[int | None] | None = (None, None)) -> bytes:
    """A tensor's name and type; an axis of None has any length."""
    shape = b""
    if axes is not None:
        dims = b"".join(field(1, field(2, "N") if one is None else field(1, one)) for one in axes)
        shape = field(2, dims)
    return field(1, name) + field(2, field(1, field(1, element) + shape))


def sequence_of_maps(name: str, key: int = INT64) -> bytes:
    map_type = field(5, field(1, key) + field(2, field(1, field(1, FLOAT))))
    return field(1, name) + field(2, field(4, field(1, map_type)))


def attribute(name: str, value: Any) -> bytes:
    """An attribute: its type follows from its value; a bytes value is a graph."""
    head = field(1, name)
    match value:
        case bytes():
            return head + field(6, value) + field(20, 5)
        case int():
            return head + field(3, value) + field(20, 2)
        case float():
            return head + field(2, value) + field(20, 1)
        case str():
            return head + field(4, value) + field(20, 3)
        case [float(), *_]:
            return head + b"".join(field(7, one) for one in value) + field(20, 6)
        case [int(), *_]:
            return head + b"".join(field(8, one) for one in value) + field(20, 7)
        case _:
            return head + b"".join(field(9, one) for one in value) + field(20, 8)


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], domain: str = "", **attributes: Any) -> bytes:
    parts = [field(1, one) for one in inputs] + [field(2, one) for one in outputs]
    parts += [field(4, operator), field(7, domain)]
    return b"".join(parts + [field(5, attribute(name, value)) for name, value in attributes.items()])


def graph(
    nodes: Sequence[bytes], inputs: Sequence[bytes], outputs: Sequence[bytes], weights: Sequence[bytes] = ()
) -> bytes:
    rows = ((1, nodes), (5, weights), (11, inputs), (12, outputs))
    return field(2, "g") + b"".join(field(number, one) for number, many in rows for one in many)


def model(graph_: bytes, *, extra: bytes = b"", ml: bool = True) -> bytes:
    opsets = field(8, field(1, "") + field(2, 17))
    if ml:
        opsets += field(8, field(1, "ai.onnx.ml") + field(2, 3))
    return field(1, 8) + field(2, "test") + field(7, graph_) + opsets + extra


def logistic(
    weights: Sequence[float], bias: float, *, axes: Sequence[int | None] | None = None, name: str = "X"
) -> bytes:
    """A sigmoid of a weighted sum, [n, 1]: what PyTorch writes of its smallest model."""
    count = len(weights)
    return model(
        graph(
            [node("MatMul", [name, "w"], ["z"]), node("Add", ["z", "b"], ["a"]), node("Sigmoid", ["a"], ["score"])],
            [value_info(name, FLOAT, axes or (None, count))],
            [value_info("score", FLOAT, (None, 1))],
            [tensor("w", (count, 1), weights), tensor("b", (1,), [bias])],
        )
    )


def classifier(weights: Sequence[float], bias: float, *, zip_map: bool, inner: str = "probabilities") -> bytes:
    """A linear classifier with its labels first, as scikit-learn's converter writes it: with or without ZipMap."""
    out = "mapped" if zip_map else inner
    nodes = [
        node(
            "LinearClassifier",
            ["X"],
            ["label", inner],
            "ai.onnx.ml",
            coefficients=[*(-one for one in weights), *weights],
            intercepts=[-bias, bias],
            classlabels_ints=[0, 1],
            multi_class=0,
            post_transform="LOGISTIC",
        )
    ]
    outputs = [value_info("label", INT64, (None,))]
    if zip_map:
        nodes.append(node("ZipMap", [inner], [out], "ai.onnx.ml", classlabels_int64s=[0, 1]))
        outputs.append(sequence_of_maps(out))
    else:
        outputs.append(value_info(out, FLOAT, (None, 2)))
    return model(graph(nodes, [value_info("X", FLOAT, (None, len(weights)))], outputs))
