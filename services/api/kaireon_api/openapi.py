"""The OpenAPI 3.1 document, derived from the operations: nothing in it is written twice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from kaireon_api.errors import ErrorBody
from kaireon_api.operation import Operation, Role

_REF = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)\}")
_NOT_IN_ID = re.compile(r"[^a-z0-9]+")
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"apiKey": []}]
_DONE = 200
_NO_CONTENT = 204

_DESCRIPTIONS: Mapping[int, str] = {
    200: "Done.",
    201: "Created.",
    202: "Accepted: the work goes on in the background.",
    204: "Done; there is nothing to say.",
    400: "The request is not valid; `details` lists every problem.",
    401: "No valid API key.",
    403: "The API key may not do this.",
    404: "There is no such thing in this tenant.",
    409: "The state of this thing does not allow this, or it has changed meanwhile.",
    410: "What this needs has been erased.",
    413: "The body is too large.",
    414: "The path or the query string is too long.",
    415: "The body is not announced as what this takes.",
    422: "The request is well formed but cannot be carried out.",
    429: "Too many requests.",
    431: "A header is too large.",
    500: "A defect on our side.",
    503: "A service that this call cannot do without is down.",
}
_COMES_BACK = frozenset({429, 503})


def openapi_document(operations: Iterable[Operation], *, version: str) -> dict[str, Any]:
    """Return the document of these operations."""
    listed = tuple(operations)
    types = [declared for operation in listed for declared in _types(operation)]
    schemas, components = msgspec.json.schema_components([*types, ErrorBody], ref_template=_REF)
    schema_of = {_identity(declared): schema for declared, schema in zip([*types, ErrorBody], schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for operation in listed:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kaireon",
            "version": version,
            "description": "For one customer, now, on this channel: which offers to show, in what order, and why.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key: `krn_...`."},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
            },
        },
    }


def answerable(operation: Operation) -> dict[int, Any]:
    """Return every status that the operation can answer with, and the type of its body (None: none, or an error)."""
    general = {500}
    if operation.path.startswith("/api/v1/"):
        general |= {400, 413, 414, 429, 431, 503}
    if operation.role is not Role.NONE:
        general |= {401, 403}
    if "{" in operation.path:
        general |= {404}
    if operation.body is not None or operation.uploads:
        general |= {415}
    return dict(sorted({**dict.fromkeys(general), **operation.answers}.items()))


def _types(operation: Operation) -> Iterator[Any]:
    if operation.body is not None:
        yield operation.body
    if operation.query is not None:
        yield from (field.type for field in msgspec.structs.fields(operation.query))
    yield from (declared for declared in operation.answers.values() if declared is not None)


def _identity(declared: Any) -> str:
    # Annotated types and unions compare by value but not all of them hash.
    return f"{getattr(declared, '__module__', '')}.{declared!r}"


def _operation(operation: Operation, schema_of: Mapping[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _NOT_IN_ID.sub("_", f"{operation.method} {operation.path.removeprefix('/api/')}".lower()).strip(
            "_"
        ),
        "summary": operation.summary,
        "tags": [_tag(operation.path)],
        "x-required-role": operation.role.value,
        "parameters": [*_path_parameters(operation), *_query_parameters(operation, schema_of)],
        "responses": {
            str(status): _response(operation, status, declared, schema_of)
            for status, declared in answerable(operation).items()
        },
        "security": [] if operation.role is Role.NONE else _SECURITY,
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": not operation.is_body_optional,
            "content": {
                "application/json": {"schema": schema_of[_identity(operation.body)], "example": operation.example}
            },
        }
    if operation.uploads:
        described["requestBody"] = {
            "required": True,
            "content": {
                name: {
                    "schema": operation.upload_schemas.get(name, {"type": "string", "format": "binary"})
                    | {"description": text}
                }
                for name, text in operation.uploads.items()
            },
        }
    return described


def _response(operation: Operation, status: int, declared: Any, schema_of: Mapping[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": _DESCRIPTIONS[status], "headers": _headers(operation, status)}
    is_error = status >= 400  # noqa: PLR2004  where HTTP draws the line
    if status == _NO_CONTENT:
        return answer
    media_type = "application/json" if is_error else operation.media_type.partition(";")[0]
    shown = ErrorBody if declared is None and is_error else declared
    schema: dict[str, Any] = {} if shown is None else schema_of[_identity(shown)]
    content = {media_type: {"schema": schema}}
    if status == _DONE:
        content |= {
            name: {"schema": {"type": "string", "description": text}} for name, text in operation.other_forms.items()
        }
    return {**answer, "content": content}


def _headers(operation: Operation, status: int) -> dict[str, Any]:
    names = {"X-Request-Id": "The id of this request, as in `error.requestId`."}
    if status in _COMES_BACK:
        names["Retry-After"] = "When to try again, in seconds."
    headers = {
        name: {"description": text, "required": True, "schema": {"type": "string"}} for name, text in names.items()
    }
    if status < 300:  # noqa: PLR2004  where HTTP draws the line
        headers |= {
            name: {"description": text, "required": False, "schema": {"type": "string"}}
            for name, text in operation.headers.items()
        }
    return headers


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PARAMETER.findall(operation.path)
    ]


def _query_parameters(operation: Operation, schema_of: Mapping[str, Any]) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    return [
        {
            "name": field.encode_name,
            "in": "query",
            "required": field.required,
            "schema": _without_null(schema_of[_identity(field.type)]),
        }
        for field in msgspec.structs.fields(operation.query)
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return what can stand in a query string: a parameter is left out, it is never null."""
    arms = [arm for arm in schema.get("anyOf", ()) if arm != {"type": "null"}]
    if not arms:
        return schema
    return arms[0] if len(arms) == 1 else {**schema, "anyOf": arms}


def _tag(path: str) -> str:
    parts = path.strip("/").split("/")
    return parts[2] if parts[1] == "v1" else "probes"
