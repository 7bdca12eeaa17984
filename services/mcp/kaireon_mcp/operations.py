"""What the tools use of the API: each operation with the form of what it takes and answers, from its OpenAPI document.

curl -s $URL/api/openapi.json | python -m kaireon_mcp.operations > services/mcp/kaireon_mcp/operations.json
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, cast

import msgspec

from kaireon_mcp.tools import needed_operations

Schema = dict[str, Any]

FILE = "operations.json"
_IN_PATH = re.compile(r"\{(\w+)\}")
_REFERENCE = "#/components/schemas/"
_SUCCESSES = ("200", "201", "202")


class Operation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One operation of the API.

    `query` maps each parameter to its schema, `body` is the schema of a JSON object (None: no body), `answer` that of a
    success, without what is inside its objects and lists.
    """

    method: str
    path: str
    role: str
    summary: str
    query: dict[str, Schema]
    required_query: list[str]
    body: Schema | None
    answer: Schema
    definitions: dict[str, Schema]

    @property
    def in_path(self) -> list[str]:
        """The names in the path."""
        return _IN_PATH.findall(self.path)


def derive_operations(document: Mapping[str, Any], names: Mapping[str, bool]) -> dict[str, Operation]:
    """Return the operations that are called so (`POST /api/v1/offers`) of an OpenAPI document.

    Where a name maps to False, of its body and its answer nothing is told. Raises `KeyError` for a name that is none.
    """
    return {name: _derived(document, *name.split(" "), has_form=has_form) for name, has_form in sorted(names.items())}


def written(operations: Mapping[str, Operation]) -> str:
    """Return the text of the file."""
    lines = (f'"{name}":{msgspec.json.encode(operation).decode()}' for name, operation in operations.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


@cache
def stored_operations() -> Mapping[str, Operation]:
    """Return the operations that this package was built with."""
    return msgspec.json.decode((files("kaireon_mcp") / FILE).read_bytes(), type=dict[str, Operation])


def _derived(document: Mapping[str, Any], method: str, path: str, *, has_form: bool) -> Operation:
    described = document["paths"][path][method.lower()]
    schemas = document["components"]["schemas"]
    asked = [parameter for parameter in described["parameters"] if parameter["in"] == "query"]
    content = described.get("requestBody", {}).get("content", {}).get("application/json")
    body = None if content is None else _resolved(content["schema"], schemas) if has_form else {"type": "object"}
    definitions: dict[str, Schema] = {}
    _collect([body, *(parameter["schema"] for parameter in asked)], schemas, definitions)
    return Operation(
        method=method,
        path=path,
        role=described["x-required-role"],
        summary=described["summary"],
        query={parameter["name"]: _plain(parameter["schema"]) for parameter in asked},
        required_query=[parameter["name"] for parameter in asked if parameter["required"]],
        body=None if body is None else _plain(body),
        answer=_answer(described["responses"], schemas) if has_form else {},
        definitions={name: _plain(schema) for name, schema in sorted(definitions.items())},
    )


def _resolved(schema: Schema, schemas: Mapping[str, Schema]) -> Schema:
    return schemas[schema["$ref"].removeprefix(_REFERENCE)] if "$ref" in schema else schema


def _collect(node: Any, schemas: Mapping[str, Schema], found: dict[str, Schema]) -> None:
    """Find every definition that a schema refers to."""
    if isinstance(node, list):
        for item in cast("list[Any]", node):
            _collect(item, schemas, found)
    if not isinstance(node, dict):
        return
    schema = cast("Schema", node)
    name = str(schema.get("$ref", "")).removeprefix(_REFERENCE)
    if name and name not in found:
        found[name] = schemas[name]
        _collect(schemas[name], schemas, found)
    for value in schema.values():
        _collect(value, schemas, found)


def _plain(node: Any) -> Any:
    """Return a schema without what only takes a reader's room, its references led to `$defs`."""
    if isinstance(node, list):
        return [_plain(item) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node.replace(_REFERENCE, "#/$defs/") if isinstance(node, str) else node
    return {
        key: _plain_fields(value) if key == "properties" else _plain(value)
        for key, value in cast("dict[str, Any]", node).items()
        if key != "title" and not (key == "default" and value is None)
    }


def _plain_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Keep a field that is itself called `title`."""
    return {name: _plain(schema) for name, schema in fields.items()}


def _answer(responses: Mapping[str, Any], schemas: Mapping[str, Schema]) -> Schema:
    """Return the form of every success, one level deep: more would cost a model more to read than it tells."""
    contents = [responses[status].get("content", {}) for status in _SUCCESSES if status in responses]
    forms = [_resolved(content.get("application/json", {}).get("schema", {}), schemas) for content in contents]
    schema: Schema = forms[0] if forms else {}
    if "properties" not in schema or any(form != schema for form in forms):
        return {}
    return {
        "type": "object",
        "properties": {name: _shallow(field, schemas) for name, field in schema["properties"].items()},
        "required": schema.get("required", []),
    }


def _shallow(schema: Schema, schemas: Mapping[str, Schema]) -> Schema:
    if "anyOf" in schema:
        arms = [_shallow(arm, schemas) for arm in schema["anyOf"]]
        return {"anyOf": arms} if all(arms) else {}
    kind = _resolved(schema, schemas).get("type")
    return {"type": kind} if kind else {}


def _main() -> None:
    """Read an OpenAPI document from stdin, and write what the tools use of it, an operation a line."""
    derived = derive_operations(msgspec.json.decode(sys.stdin.buffer.read()), needed_operations())
    sys.stdout.write(written(derived))


if __name__ == "__main__":
    _main()
