"""A decision flow in a file, JSON or YAML, so that it can live beside the code that needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import msgspec

from kaireon_application.errors import InvalidInput
from kaireon_core.decisioning.flow import Flow
from kaireon_core.decisioning.parse_flow import FlowKind, parse_flow
from kaireon_core.problems import InvalidValue

_YAML_SUFFIXES = frozenset({".yaml", ".yml"})


def read_document(file: Path) -> Any:
    """Return what a file holds; a whole flow as the API shows it is its draft. Raises `InvalidInput`."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror}") from None
    try:
        found = msgspec.yaml.decode(content) if file.suffix in _YAML_SUFFIXES else msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"{file}: {error}") from None
    if not isinstance(found, dict):
        return found
    flow = cast("dict[str, Any]", found)
    return flow.get("draftConfig", flow)


def read_flow(file: Path, kind: FlowKind = FlowKind.DRAFT) -> Flow:
    """Return the flow in a file. Raises `InvalidInput` with the JSON path of every problem."""
    try:
        return parse_flow(read_document(file), kind)
    except InvalidValue as error:
        raise InvalidInput(f"{file} is no flow: {error}") from None
