"""What the conditions of a journey may look at: what it was entered with, what it decided, what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from kaireon_application.customers.schema_data import SchemaRows
from kaireon_application.customers.schema_table import SchemaTable
from kaireon_application.decisioning.facts import CustomerRecord, History
from kaireon_application.decisioning.snapshot import TenantSnapshot
from kaireon_application.decisioning.stored_segments import stored_segments
from kaireon_application.engagement.condition import Look, look_in

_NO_HISTORY = History(0, 0, [], None)
_CUSTOMER = "customer"


def part_of(context: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an object of an enrolment's context, empty where there is none."""
    return context.get(name) or {}


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneyFacts:
    """Reads what is stored of one customer, fresh."""

    rows: SchemaRows

    async def look(
        self, snapshot: TenantSnapshot, customer_id: str, context: Mapping[str, Any], fields: Iterable[str]
    ) -> Look:
        """Return what finds these fields.

        A bare name or `customer.x` is what the journey was entered with, else a field of one of the customer's rows;
        `<schema key>.x` is a field of that row; `event.x`, `properties.x` and `decisions.<name>.x` are the journey's.
        """
        properties = part_of(part_of(context, "event"), "properties")
        document = {**context, "customerId": customer_id, "properties": properties, **part_of(context, "attributes")}
        own = look_in(document)
        stored = await self._stored(snapshot, customer_id, fields)

        def look(field: str) -> Any:
            namespace, dot, name = field.partition(".")
            bare = name if dot and namespace == _CUSTOMER else field
            found = own(bare)
            return stored.get(field, stored.get(bare)) if found is None else found

        return look

    async def is_member(self, snapshot: TenantSnapshot, customer_id: str, segment_id: str) -> bool:
        """Return whether a customer is in a stored segment; nobody is in one that is not active."""
        configuration = snapshot.configuration
        found = stored_segments(configuration.segments, configuration.schema_tables, [segment_id], ())
        for segment in found:
            table = configuration.schema_tables[segment.enrichment.schema_id]
            row = await self._row(configuration.tenant_id, table, customer_id)
            record = CustomerRecord(rows={segment.enrichment.row_key: row}, history=_NO_HISTORY)
            if segment.members([record])[0]:
                return True
        return False

    async def _stored(self, snapshot: TenantSnapshot, customer_id: str, fields: Iterable[str]) -> dict[str, Any]:
        """Return the stored values of these fields, under the names by which they were asked for."""
        tables, wanted = snapshot.configuration.schema_tables, set(fields)
        values = dict[str, Any]()
        read = dict[str, Mapping[str, Any]]()
        for key, table in tables.items():
            names = [column.name for column in table.columns]
            asked = {f"{key}.{name}": name for name in names if f"{key}.{name}" in wanted}
            asked |= {name: name for name in names if name in wanted or f"{_CUSTOMER}.{name}" in wanted}
            if asked and table.customer_column is not None:
                if table.name not in read:
                    read[table.name] = await self._row(snapshot.configuration.tenant_id, table, customer_id) or {}
                for field, name in asked.items():
                    values.setdefault(field, read[table.name].get(name))
        return values

    async def _row(self, tenant_id: str, table: SchemaTable, customer_id: str) -> dict[str, Any] | None:
        column = table.customer_column
        if column is None:
            return None
        found = await self.rows.lookup(UUID(tenant_id), table, column.name, [customer_id])
        return found.get(customer_id)
