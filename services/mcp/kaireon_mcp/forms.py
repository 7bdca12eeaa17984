"""What each tool takes and answers, as JSON Schema, and from arguments to a request of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any
from urllib.parse import quote

import msgspec
from jsonschema import Draft202012Validator, ValidationError

from kaireon_mcp.operations import Operation, Schema
from kaireon_mcp.tools import KINDS, Tool, operations_of

_MOST_PROBLEMS = 5
_LONGEST_NAME = 255
_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": _LONGEST_NAME}
_CONFIRM: Schema = {
    "type": "boolean",
    "default": False,
    "description": "true does it; without it the tool only tells what it would do.",
}
_FILTERS: Schema = {
    "type": "object",
    "additionalProperties": {"type": ["string", "boolean", "integer"]},
    "description": "What the list of this kind can be narrowed by.",
}
# What every list of a kind takes.
_LIST: dict[str, Schema] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 100},
    "cursor": {"type": "string", "description": "`pagination.nextCursor` of the page before."},
    "status": {"type": "string"},
    "includeDeleted": {"type": "boolean"},
    "filters": _FILTERS,
}


class InvalidArguments(Exception):
    """The arguments are not what the tool takes; the message says which and why."""


class ApiRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request of the API."""

    method: str
    path: str
    role: str = "viewer"
    query: Mapping[str, str] = {}
    body: Any = None


class Form:
    """One tool with its schemas: what a client is shown, and what arguments are held against."""

    def __init__(self, tool: Tool, operations: Mapping[str, Operation]) -> None:
        self.tool = tool
        self._by_kind = {kind: operations[name] for kind, name in operations_of(tool).items()}
        self.input_schema = self._input_schema()
        self.output_schema = _output_schema(tool, next(iter(self._by_kind.values())))
        self._validator = Draft202012Validator(self.input_schema)

    @property
    def roles(self) -> Sequence[str]:
        """The roles that its operations need, the lowest first."""
        return [role for role in ("viewer", "editor", "admin") if role in {o.role for o in self._by_kind.values()}]

    def request(self, arguments: Mapping[str, Any]) -> ApiRequest:
        """Return what arguments ask of the API. Raises `InvalidArguments`."""
        self._require_valid(arguments)
        operation = self._operation(arguments)
        body: Any = None
        if operation.body is not None:
            body = arguments.get(self.tool.content) if self.tool.content else _fields(operation.body, arguments)
        return ApiRequest(
            method=operation.method,
            path=self._filled(operation.path, operation.in_path, arguments),
            role=operation.role,
            query=self._query(operation, arguments),
            body=body,
        )

    def target(self, arguments: Mapping[str, Any]) -> ApiRequest | None:
        """Return how to read what valid arguments would change; None where nothing is there before."""
        if self.tool.target is None:
            return None
        path = self.tool.target.removeprefix("GET ").replace("{kind}", str(arguments.get("kind", "")))
        return ApiRequest(method="GET", path=self._filled(path, self._operation(arguments).in_path, arguments))

    def _operation(self, arguments: Mapping[str, Any]) -> Operation:
        return self._by_kind[str(arguments.get("kind", ""))]

    def _input_schema(self) -> Schema:
        operation = next(iter(self._by_kind.values()))
        properties: dict[str, Schema] = {"kind": {"enum": list(KINDS)}} if self.tool.has_kind else {}
        properties |= {self._argument(name): _NAME for name in operation.in_path}
        required = [*properties, *operation.required_query]
        if not self.tool.has_kind:
            properties |= operation.query
        elif operation.method == "GET" and not operation.in_path:
            properties |= _LIST
        if self.tool.content is not None:
            properties[self.tool.content] = {"type": "object", "minProperties": 1}
            required.append(self.tool.content)
        elif operation.body is not None:
            properties |= operation.body.get("properties", {})
            required += operation.body.get("required", [])
        if self.tool.is_write:
            properties["confirm"] = _CONFIRM
        schema: Schema = {"type": "object", "properties": properties, "required": required}
        definitions = {} if self.tool.has_kind else operation.definitions
        return {**schema, "additionalProperties": False} | ({"$defs": definitions} if definitions else {})

    def _require_valid(self, arguments: Mapping[str, Any]) -> None:
        first = islice(self._validator.iter_errors(arguments), _MOST_PROBLEMS)
        problems = [f"{error.json_path}: {_told(error)}" for error in first]
        if problems:
            raise InvalidArguments("; ".join(problems))

    def _filled(self, path: str, names: Sequence[str], arguments: Mapping[str, Any]) -> str:
        for name in names:
            path = path.replace(f"{{{name}}}", _segment(str(arguments[self._argument(name)])))
        return path

    def _query(self, operation: Operation, arguments: Mapping[str, Any]) -> dict[str, str]:
        given = arguments
        if self.tool.has_kind:
            filters = arguments.get("filters", {})
            _require_filters(operation, filters)
            given = {**arguments, **filters}
        return {name: _in_query(given[name]) for name in operation.query if given.get(name) is not None}

    def _argument(self, name: str) -> str:
        return self.tool.names.get(name, name)


def _fields(body: Schema, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: arguments[name] for name in body.get("properties", {}) if name in arguments}


def _require_filters(operation: Operation, filters: Mapping[str, Any]) -> None:
    unknown = [name for name in filters if name not in operation.query]
    if unknown:
        message = f"$.filters: {', '.join(unknown)}: {operation.path} has the filters {', '.join(operation.query)}"
        raise InvalidArguments(message)


def _told(error: ValidationError) -> str:
    message = error.message
    return message if len(message) <= _LONGEST_NAME else f"{message[:_LONGEST_NAME]}..."


def _segment(text: str) -> str:
    """Return a name as one segment of a path. Raises `InvalidArguments` for what a path cannot hold."""
    if text in {".", ".."}:
        raise InvalidArguments(f"{text} names nothing")
    return quote(text, safe="")


def _in_query(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _output_schema(tool: Tool, operation: Operation) -> Schema:
    result = {} if tool.has_kind else operation.answer
    if not tool.is_write:
        return {
            "type": "object",
            "properties": {"result": result, "requestId": {"type": "string"}},
            "required": ["result", "requestId"],
        }
    preview: Schema = {
        "type": "object",
        "properties": {
            "request": {"type": "object"},
            "requiredRole": {"type": "string"},
            "target": {},
            "changes": {"type": "object"},
        },
        "required": ["request", "requiredRole"],
    }
    return {
        "type": "object",
        "properties": {
            "done": {"type": "boolean"},
            "result": result,
            "preview": preview,
            "requestId": {"type": "string"},
        },
        "required": ["done"],
    }
