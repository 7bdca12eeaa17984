"""Many things of a kind in one call: all of them are stored, or none."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from kaireon_api.catalog.crud import caller, writer_role
from kaireon_api.operation import WRITE_ERRORS, Call, Operation, Reply
from kaireon_application.catalog.forms import view_form
from kaireon_application.catalog.kind import EntityKind
from kaireon_application.catalog.read_entity import view
from kaireon_application.catalog.write_entity import create_entities

MAX_ITEMS = 1_000
MAX_BYTES = 10 * 1024 * 1024


def bulk_operation(kind: EntityKind) -> Operation:
    """Return `POST /<path>/bulk`, whose body has one list named like the path."""
    items: Any = Annotated[list[kind.create], msgspec.Meta(min_length=1, max_length=MAX_ITEMS)]
    title = "".join(word.capitalize() for word in kind.path.split("-"))
    form = msgspec.defstruct(f"{title}Bulk", [(kind.path, items)], forbid_unknown_fields=True, kw_only=True)
    answer = msgspec.defstruct(f"{title}BulkCreated", [("created", int), ("data", list[view_form(kind)])])

    async def handle(call: Call[Any]) -> Reply:
        forms: list[msgspec.Struct] = getattr(call.body, kind.path)
        stored = await create_entities(call.services.entities, kind, caller(call), forms, f"$.{kind.path}")
        data = [view(call.tenant_id, kind, entity) for entity in stored]
        return Reply(content={"created": len(data), "data": data}, status=201)

    return Operation(
        method="POST",
        path=f"/api/v1/{kind.path}/bulk",
        role=writer_role(kind),
        handler=handle,
        summary=f"Create up to {MAX_ITEMS} {kind.path}, or none",
        body=form,
        example={kind.path: [kind.example]},
        answers={201: answer, **WRITE_ERRORS},
        body_limit=MAX_BYTES,
    )
