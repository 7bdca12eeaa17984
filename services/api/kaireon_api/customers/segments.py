"""Stored segments over HTTP: as every kind, with the number of members in each answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from kaireon_api.catalog.crud import operations
from kaireon_api.operation import Call, Operation, Reply
from kaireon_application.catalog.kind import Document
from kaireon_application.customers.segment import SEGMENT, with_counts


def _counted(operation: Operation) -> Operation:
    """Return the operation with the members counted in what it answers."""

    async def handle(call: Call[Any]) -> Reply:
        reply = await operation.handler(call)
        content = reply.content
        if content is None:
            return reply
        if "data" in content:
            answer = {**content, "data": await _with_counts(call, content["data"])}
        else:
            (answer,) = await _with_counts(call, [content])
        return msgspec.structs.replace(reply, content=answer)

    return replace(operation, handler=handle)


async def _with_counts(call: Call[Any], segments: Sequence[Document]) -> list[Document]:
    async with call.services.entities.reading(call.tenant_id) as reader:
        return await with_counts(call.services.schema_rows, reader, call.tenant_id, segments)


OPERATIONS: tuple[Operation, ...] = tuple(_counted(operation) for operation in operations(SEGMENT))
