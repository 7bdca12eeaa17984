"""The rows of a schema as columns, in the order in which they are learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np

from kaireon_application.catalog.entities import Entities
from kaireon_application.catalog.read_entity import get_entity
from kaireon_application.customers.schema_data import SchemaRows
from kaireon_application.customers.schema_table import table_of
from kaireon_core.column import Column

_BATCH = 5_000


class SchemaTrainingRows:
    """`TrainingRows` over the tenants' own tables."""

    def __init__(self, entities: Entities, rows: SchemaRows) -> None:
        """Find schemas and read their rows here."""
        self._entities = entities
        self._rows = rows

    async def read(
        self, tenant_id: UUID, schema_key: str, fields: Sequence[str], time_field: str | None
    ) -> Mapping[str, Column]:
        """Return the columns of these fields, ordered by the time field (nulls first), then the primary key.

        Raises `NotFound` when the tenant has no such schema, `Unavailable` while the storage is down.
        """
        schema = await get_entity(self._entities, tenant_id, "schema", schema_key)
        names = list(dict.fromkeys((*fields, time_field) if time_field else fields))
        values: dict[str, list[Any]] = {name: [] for name in names}
        async for batch in self._rows.stream(tenant_id, table_of(schema.body), names, _BATCH):
            for name, read in values.items():
                read.extend([row[name] for row in batch])
        columns = {name: Column.from_values(read) for name, read in values.items()}
        if time_field is None:
            return columns
        order = _rising(values[time_field])
        return {name: column.take(order) for name, column in columns.items()}


def _rising(values: Sequence[Any]) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the rows by rising value, nulls first; equal ones keep their order."""

    def position(row: int) -> tuple[bool, Any]:
        value = values[row]
        # Without the zone's letter a whole second sorts before its fractions.
        return value is not None, value.removesuffix("Z") if isinstance(value, str) else value

    return np.array(sorted(range(len(values)), key=position), np.intp)
