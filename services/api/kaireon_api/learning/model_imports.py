"""`/api/v1/models/import`: models that were trained elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from kaireon_api.catalog.crud import caller, reply_entity
from kaireon_api.errors import PayloadTooLarge
from kaireon_api.operation import READ_ERRORS, Call, Operation, Reply, Role, Upload
from kaireon_application.catalog.forms import view_form
from kaireon_application.errors import InvalidInput
from kaireon_application.learning.algorithm_model import ALGORITHM_MODEL
from kaireon_application.learning.evaluate_policy import held
from kaireon_application.learning.import_model import MAX_GRAPH_BYTES, ImportForm, import_model
from kaireon_application.learning.imported_graph import GraphStore, InspectGraph
from kaireon_core.problems import InvalidValue, convert

# The other fields, and what stands between them.
_MAX_FORM_BYTES = 4 * 1024 * 1024
_FORM = "multipart/form-data"
_JSON_FIELDS = ("featureNames", "featureDefaults")
_MAX_FIELDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelImports:
    """Where graphs are kept and who looks at them; `uploads` lets one be taken in at a time in a process."""

    graphs: GraphStore
    inspect: InspectGraph
    uploads: asyncio.Semaphore


async def _import(call: Call[Upload]) -> Reply:
    services, imports = call.services, call.services.model_imports
    async with _received(call) as data:
        form, file = _form(data), _file(data)
        async with held(imports.uploads):
            content = await file.read()
            entity = await import_model(services.entities, imports.graphs, imports.inspect, caller(call), form, content)
    return await reply_entity(call, ALGORITHM_MODEL, entity, 201)


@asynccontextmanager
async def _received(call: Call[Upload]) -> AsyncGenerator[FormData]:
    """Receive the whole form, its file on disk where it is large. Raises `InvalidInput`, `PayloadTooLarge`."""

    async def pieces() -> AsyncGenerator[bytes]:
        async for piece in call.body.pieces:
            yield piece

    headers = Headers({"content-type": call.headers["content-type"]})
    parser = MultiPartParser(headers, pieces(), max_files=1, max_fields=_MAX_FIELDS, max_part_size=_MAX_FORM_BYTES)
    try:
        yield await parser.parse()
    except MultiPartException as error:
        raise InvalidInput(f"The body is not a multipart form that can be read: {error.message}") from None
    finally:
        # Starlette gives no file back that was cut off.
        for file in parser._files_to_close_on_error:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            file.close()


def _form(data: FormData) -> ImportForm:
    """Return what is said of the file. Raises `InvalidInput` with every problem."""
    given: dict[str, Any] = {}
    for name, value in data.multi_items():
        if name in given:
            raise InvalidInput.at(f"$.{name}", "is there twice")
        given[name] = _decoded(name, value) if isinstance(value, str) else None
    given.pop("file", None)
    try:
        return convert(given, ImportForm)
    except InvalidValue as error:
        raise InvalidInput.of(error.problems) from None


def _decoded(name: str, value: str) -> Any:
    if name not in _JSON_FIELDS:
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        raise InvalidInput.at(f"$.{name}", "is not valid JSON") from None


def _file(data: FormData) -> UploadFile:
    file = data.get("file")
    if not isinstance(file, UploadFile):
        raise InvalidInput.at("$.file", "file is required, with a filename")
    if (file.size or 0) > MAX_GRAPH_BYTES:
        raise PayloadTooLarge(f"The file may have {MAX_GRAPH_BYTES} bytes")
    return file


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path="/api/v1/models/import",
        role=Role.ADMIN,
        handler=_import,
        summary="Import a model that was trained elsewhere, as an ONNX graph",
        uploads={_FORM: "The fields of the form; `featureNames` and `featureDefaults` are JSON."},
        upload_schemas={
            _FORM: {
                "type": "object",
                "properties": {
                    "file": {"type": "string", "format": "binary"},
                    "name": {"type": "string", "minLength": 1, "maxLength": 255},
                    "family": {"type": "string", "enum": ["onnx_imported"], "default": "onnx_imported"},
                    "featureNames": {"type": "string", "contentMediaType": "application/json"},
                    "featureDefaults": {"type": "string", "contentMediaType": "application/json"},
                },
                "required": ["file", "name", "featureNames"],
                "additionalProperties": False,
            }
        },
        body_limit=MAX_GRAPH_BYTES + _MAX_FORM_BYTES,
        answers={201: view_form(ALGORITHM_MODEL), **READ_ERRORS, 413: None, 415: None},
    ),
)
