"""Loading the facts of customers: their rows, versions and contacts, in one round trip."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from kaireon_application.customers.schema_table import cast_for_lookup
from kaireon_application.decisioning.facts import ContactRow, CustomerRecord, History, OutcomeRow, Tables
from kaireon_application.errors import Unavailable
from kaireon_storage.postgres import table_statements
from kaireon_storage.postgres.queries import queries
from kaireon_storage.postgres.schema_tables import readable

if TYPE_CHECKING:
    from kaireon_core.decisioning.compile import Enrichment, Needs
    from kaireon_storage.postgres.database import Database, Row, Statement

# A decision that waits longer for its facts is too late.
_SILENCE_SECONDS = 4.0


class PostgresFacts:
    """Implements `FactStore`."""

    def __init__(self, database: Database) -> None:
        """Read through this database."""
        self._database = database
        self._sql = queries("decisions")

    async def load(
        self, tenant_id: str, customer_ids: Sequence[str], needs: Needs, tables: Tables, now_ms: int
    ) -> list[CustomerRecord]:
        """Return one record per customer, in order; an unknown customer has version 0."""
        common = {"tenant_id": tenant_id, "customer_ids": list(customer_ids)}
        since_ms, outcomes_since_ms = _windows(needs, now_ms)
        # The versions come first: a commit between the statements then makes the version too old, never too new.
        statements: list[Statement] = [(self._sql.customer_versions.sql, common)]
        statements.append((self._sql.recent_contacts.sql, {**common, "since_ms": since_ms}))
        statements.append((self._sql.contact_totals.sql, common))
        if outcomes_since_ms is not None:
            statements.append((self._sql.recent_outcomes.sql, {**common, "since_ms": outcomes_since_ms}))
        lookups = [_lookup(UUID(tenant_id), one, tables, customer_ids) for one in needs.enrichments]
        statements += [lookup for lookup in lookups if lookup is not None]
        versions, recent, totals, *found = await self._answers(tenant_id, statements)
        rows = iter(found)
        outcomes_of = _outcomes([] if outcomes_since_ms is None else next(rows))
        enriched = [
            (one.row_key, {} if lookup is None else _rows(next(rows), lookup[1]["places"]))
            for one, lookup in zip(needs.enrichments, lookups, strict=True)
        ]
        version_of = {row["customer_id"]: row["version"] for row in versions}
        recent_of, totals_of = _contacts(recent), _contacts(totals)
        histories = {
            id_: History(
                version_of.get(id_, 0), since_ms, recent_of[id_], totals_of[id_], outcomes_since_ms, outcomes_of[id_]
            )
            for id_ in customer_ids
        }
        return [
            CustomerRecord(
                rows={row_key: by_customer.get(id_) for row_key, by_customer in enriched}, history=histories[id_]
            )
            for id_ in customer_ids
        ]

    async def _answers(self, tenant_id: str, statements: Sequence[Statement]) -> list[list[Row]]:
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                return await self._database.together(tenant_id, statements)
        except TimeoutError:
            message = "Postgres does not answer; try again"
            raise Unavailable(message) from None


def _windows(needs: Needs, now_ms: int) -> tuple[int, int | None]:
    """Return since when contacts are needed, and since when outcomes, None where they are not."""
    outcome_window_ms = needs.history.outcome_window_ms
    return now_ms - needs.contact_window_ms, now_ms - outcome_window_ms if outcome_window_ms else None


def _contacts(rows: Sequence[Row]) -> dict[str, list[ContactRow]]:
    contacts = defaultdict[str, list[ContactRow]](list)
    for row in rows:
        contact = (row["offer_id"], row["creative_id"], row["channel_id"], row["at_ms"], row.get("impressions", 1))
        contacts[row["customer_id"]].append(contact)
    return contacts


def _outcomes(rows: Sequence[Row]) -> dict[str, list[OutcomeRow]]:
    outcomes = defaultdict[str, list[OutcomeRow]](list)
    for row in rows:
        place = row["offer_id"], row["creative_id"], row["channel_id"], row["at_ms"]
        outcomes[row["customer_id"]].append((*place, row["outcome_key"], row["is_response"]))
    return outcomes


def _lookup(tenant_id: UUID, enrichment: Enrichment, tables: Tables, customer_ids: Sequence[str]) -> Any | None:
    """Return the statement that finds these customers' rows, None where no row can match."""
    table = tables.get(enrichment.schema_id)
    key = table.column(enrichment.lookup_key) if table else None
    if table is None or key is None:
        return None
    pairs = [(id_, value) for id_ in customer_ids if (value := cast_for_lookup(key, id_)) is not None]
    if not pairs:
        return None
    parameters = {
        "tenant_id": tenant_id,
        "values": [value for _, value in pairs],
        "places": [id_ for id_, _ in pairs],
    }
    return table_statements.lookup_rows(tenant_id, table, key), parameters


def _rows(rows: Sequence[Row], places: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {places[int(row.pop("lookup_place")) - 1]: readable(row) for row in rows}
