"""The documentation as one page: rendered here, so that it needs no script, no network and no second copy."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from typing import Any

_SHOWN_DEPTH = 4


def docs_page(document: dict[str, Any]) -> str:
    """Return the OpenAPI document as HTML."""
    groups: defaultdict[str, list[tuple[str, str, dict[str, Any]]]] = defaultdict(list)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups[operation["tags"][0]].append((method.upper(), path, operation))
    template = files("kaireon_api").joinpath("docs_page.html").read_text(encoding="utf-8")
    info = document["info"]
    parts = {
        "{{title}}": escape(f"{info['title']} API {info['version']}"),
        "{{description}}": escape(info["description"]),
        "{{index}}": "".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in groups),
        "{{groups}}": "".join(_group(tag, operations, document) for tag, operations in groups.items()),
    }
    for mark, text in parts.items():
        template = template.replace(mark, text)
    return template


def _group(tag: str, operations: list[tuple[str, str, dict[str, Any]]], document: dict[str, Any]) -> str:
    rendered = "".join(_operation(method, path, operation, document) for method, path, operation in operations)
    return f'<section id="{escape(tag)}"><h2>{escape(tag)}</h2>{rendered}</section>'


def _operation(method: str, path: str, operation: dict[str, Any], document: dict[str, Any]) -> str:
    return (
        f'<details id="{escape(operation["operationId"])}"><summary><b class="{method.lower()}">{method}</b>'
        f"<code>{escape(path)}</code><span>{escape(operation['summary'])}</span>"
        f"<i>{escape(operation['x-required-role'])}</i></summary>"
        f"{_parameters(operation['parameters'])}{_body(operation, document)}{_responses(operation, document)}</details>"
    )


def _parameters(parameters: list[dict[str, Any]]) -> str:
    if not parameters:
        return ""
    rows = "".join(
        f"<tr><td><code>{escape(given['name'])}</code></td><td>{escape(given['in'])}</td>"
        f"<td>{escape(_type_of(given['schema']))}</td><td>{'required' if given['required'] else ''}</td></tr>"
        for given in parameters
    )
    return f"<h3>Parameters</h3><table>{rows}</table>"


def _body(operation: dict[str, Any], document: dict[str, Any]) -> str:
    if "requestBody" not in operation:
        return ""
    forms = operation["requestBody"]["content"]
    if "application/json" not in forms:
        rows = "".join(
            f"<tr><td><code>{escape(name)}</code></td><td>{escape(form['schema']['description'])}</td></tr>"
            for name, form in forms.items()
        )
        return f"<h3>Body</h3><table>{rows}</table>"
    content = forms["application/json"]
    example = escape(json.dumps(content["example"], indent=2, ensure_ascii=False))
    return f"<h3>Body</h3>{_schema(content['schema'], document)}<h4>Example</h4><pre>{example}</pre>"


def _responses(operation: dict[str, Any], document: dict[str, Any]) -> str:
    rendered: list[str] = []
    for status, response in operation["responses"].items():
        is_success = status.startswith("2")
        shown = "".join(_schema(content["schema"], document) for content in response.get("content", {}).values())
        text = f"<p><b>{status}</b> {escape(response['description'])}</p>"
        rendered.append(text + (shown if is_success else ""))
    return f"<h3>Answers</h3>{''.join(rendered)}"


def _schema(schema: dict[str, Any], document: dict[str, Any]) -> str:
    rows = "".join(_rows(schema, document, 0, frozenset()))
    return f"<table>{rows}</table>" if rows else f"<p><code>{escape(_type_of(schema))}</code></p>"


def _rows(schema: dict[str, Any], document: dict[str, Any], depth: int, seen: frozenset[str]) -> Iterator[str]:
    resolved, seen = _resolved(schema, document, seen)
    for name, field in resolved.get("properties", {}).items() if depth < _SHOWN_DEPTH else ():
        required = "required" if name in resolved.get("required", ()) else ""
        yield (
            f'<tr><td style="padding-left:{depth * 1.2 + 0.4:.1f}em"><code>{escape(name)}</code></td>'
            f"<td>{escape(_type_of(field))}</td><td>{required}</td></tr>"
        )
        yield from _rows(field, document, depth + 1, seen)


def _resolved(
    schema: dict[str, Any], document: dict[str, Any], seen: frozenset[str]
) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the object that a schema describes, be it itself, its items or its only reference."""
    for arm in (schema, schema.get("items") or {}, *schema.get("anyOf", ())):
        if "$ref" in arm:
            name: str = arm["$ref"].rpartition("/")[2]
            return ({}, seen) if name in seen else (document["components"]["schemas"][name], seen | {name})
    return schema, seen


def _type_of(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_type_of(arm) for arm in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type_of(schema.get('items') or {})}"
    limits = [f"{name} {schema[name]}" for name in _LIMITS if name in schema]
    return ", ".join([str(schema.get("format") or schema.get("type", "any")), *limits])


_LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern")
