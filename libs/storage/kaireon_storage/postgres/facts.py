"""Loading the facts of customers: their rows, versions and contacts, in one round trip."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from kaireon_application.customers.schema_table import cast_for_lookup
from kaireon_application.decisioning.facts import (
    ContactRow,
    CustomerRecord,
    History,
    MetricValue,
    OutcomeRow,
    Sources,
    Tables,
)
from kaireon_application.decisioning.metric_query import MetricQuery
from kaireon_application.decisioning.tenant_counts import TenantCounts
from kaireon_application.errors import Unavailable
from kaireon_core.learning.learned import LearnedForm, LearnedRows, LearnerReference
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
        self, tenant_id: str, customer_ids: Sequence[str], needs: Needs, sources: Sources, now_ms: int
    ) -> list[CustomerRecord]:
        """Return one record per customer, in order; an unknown customer has version 0."""
        metrics = [sources.metrics[id_] for id_ in needs.history.metrics if id_ in sources.metrics]
        lookups = {
            one.row_key: _lookup(UUID(tenant_id), one, sources.tables, customer_ids) for one in needs.enrichments
        }
        # The versions come first: a commit between the statements then makes the version too old, never too new.
        statements = {
            **self._history(tenant_id, customer_ids, needs, metrics, now_ms),
            **{row_key: lookup for row_key, lookup in lookups.items() if lookup is not None},
        }
        found = dict(zip(statements, await self._answers(tenant_id, list(statements.values())), strict=True))
        enriched = {
            row_key: {} if lookup is None else _rows(found[row_key], lookup[1]["places"])
            for row_key, lookup in lookups.items()
        }
        history_of = _histories(found, needs, metrics, sources.config_version, now_ms)
        return [
            CustomerRecord(
                rows={row_key: by_customer.get(id_) for row_key, by_customer in enriched.items()},
                history=history_of(id_),
            )
            for id_ in customer_ids
        ]

    def _history(
        self,
        tenant_id: str,
        customer_ids: Sequence[str],
        needs: Needs,
        metrics: Sequence[MetricQuery],
        now_ms: int,
    ) -> dict[str, Statement]:
        """Return the statements that read what these customers did, by name; only what is needed."""
        common = {"tenant_id": tenant_id, "customer_ids": list(customer_ids)}
        since_ms, outcomes_since_ms = _windows(needs, now_ms)
        statements: dict[str, Statement] = {
            "versions": (self._sql.customer_versions.sql, common),
            "recent": (self._sql.recent_contacts.sql, {**common, "since_ms": since_ms}),
            "totals": (self._sql.contact_totals.sql, common),
        }
        if outcomes_since_ms is not None:
            statements["outcomes"] = (self._sql.recent_outcomes.sql, {**common, "since_ms": outcomes_since_ms})
        if needs.assignment_of is not None:
            statements["assignments"] = (self._sql.assignments.sql, {**common, "experiment_key": needs.assignment_of})
        if metrics:
            given = Jsonb(msgspec.to_builtins(metrics))
            statements["metrics"] = (self._sql.metric_values.sql, {**common, "metrics": given, "now_ms": now_ms})
        return statements

    async def counted(self, tenant_id: str, needs: Needs, periods: Sequence[str]) -> TenantCounts:
        """Return what is counted over all customers: the tallies of these periods, and evidence, where needed."""
        statements: dict[str, Statement] = {}
        if needs.counters:
            periods_of = {"tenant_id": tenant_id, "periods": list(periods)}
            statements["tallies"] = (self._sql.current_tallies.sql, periods_of)
        if needs.evidence:
            statements["evidence"] = (self._sql.evidence.sql, {"tenant_id": tenant_id})
        statements |= self._learned(tenant_id, needs.learned)
        found = dict(zip(statements, await self._answers(tenant_id, list(statements.values())), strict=True))
        return TenantCounts(
            tallies={
                (row["kind"], row["subject_id"], row["period"]): row["amount"] for row in found.get("tallies", ())
            },
            evidence=[
                (row["offer_id"], row["channel_id"], row["positive"], row["negative"])
                for row in found.get("evidence", ())
            ],
            learned=_learned(found.get("sums", ()), found.get("weights", ())),
        )

    async def learned(self, tenant_id: str, references: Sequence[LearnerReference]) -> dict[str, LearnedRows]:
        """Return what responses have taught these models, by model id; one that nothing taught is absent."""
        statements = self._learned(tenant_id, references)
        found = dict(zip(statements, await self._answers(tenant_id, list(statements.values())), strict=True))
        return _learned(found.get("sums", ()), found.get("weights", ()))

    def _learned(self, tenant_id: str, references: Sequence[LearnerReference]) -> dict[str, Statement]:
        """Return the statements that read what these models have learned, by name; only what is needed."""
        weights = [one for one in references if one.form is LearnedForm.WEIGHTS]
        sums = [one for one in references if one.form is not LearnedForm.WEIGHTS]
        statements: dict[str, Statement] = {}
        if sums:
            statements["sums"] = (self._sql.learned_sums.sql, _references(tenant_id, sums))
        if weights:
            statements["weights"] = (self._sql.learned_weights.sql, _references(tenant_id, weights))
        return statements

    async def _answers(self, tenant_id: str, statements: Sequence[Statement]) -> list[list[Row]]:
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                return await self._database.together(tenant_id, statements)
        except TimeoutError:
            message = "Postgres does not answer; try again"
            raise Unavailable(message) from None


def _references(tenant_id: str, references: Sequence[LearnerReference]) -> dict[str, object]:
    return {
        "tenant_id": tenant_id,
        "model_ids": [one.model_id for one in references],
        "generations": [one.generation for one in references],
    }


def _learned(sums: Sequence[Row], weights: Sequence[Row]) -> dict[str, LearnedRows]:
    of_model = defaultdict[str, dict[str, tuple[float, float]]](dict)
    for row in sums:
        of_model[row["model_id"]][row["subject"]] = row["first"], row["second"]
    learned = {model_id: LearnedRows(sums=found) for model_id, found in of_model.items()}
    for row in weights:
        state = row["state"]
        learned[row["model_id"]] = LearnedRows(
            weights={name: float(weight) for name, weight in state["weights"].items()},
            bias=float(state["bias"]),
            updates=state["updates"],
        )
    return learned


def _windows(needs: Needs, now_ms: int) -> tuple[int, int | None]:
    """Return since when contacts are needed, and since when outcomes, None where they are not."""
    outcome_window_ms = needs.history.outcome_window_ms
    return now_ms - needs.contact_window_ms, now_ms - outcome_window_ms if outcome_window_ms else None


def _histories(
    found: Mapping[str, Sequence[Row]], needs: Needs, metrics: Sequence[MetricQuery], config_version: int, now_ms: int
) -> Callable[[str], History]:
    """Return what has the history of a customer."""
    since_ms, outcomes_since_ms = _windows(needs, now_ms)
    version_of = {row["customer_id"]: row["version"] for row in found["versions"]}
    recent_of, totals_of = _contacts(found["recent"]), _contacts(found["totals"])
    outcomes_of = _outcomes(found.get("outcomes", ()))
    metrics_of = _metrics(found.get("metrics", ()), metrics, config_version)
    assignment_of = {row["customer_id"]: (row["variant"], row["until_ms"]) for row in found.get("assignments", ())}
    return lambda id_: History(
        version_of.get(id_, 0),
        since_ms,
        recent_of[id_],
        totals_of[id_],
        outcomes_since_ms,
        outcomes_of[id_],
        metrics_of(id_),
        {} if needs.assignment_of is None else {needs.assignment_of: assignment_of.get(id_)},
    )


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


def _metrics(
    rows: Sequence[Row], metrics: Sequence[MetricQuery], config_version: int
) -> Callable[[str], dict[str, MetricValue]]:
    """Return what has the metrics of a customer; one that finds nothing is 0 until something happens."""
    found = {(row["customer_id"], row["id"]): row for row in rows}

    def value(customer_id: str, metric: MetricQuery) -> MetricValue:
        row = found.get((customer_id, metric.id))
        if row is None:
            return 0.0, None, config_version
        # It changes by itself when the first interaction that counts leaves the window.
        until_ms = None if metric.window_ms is None else row["first_at_ms"] + metric.window_ms
        return row["value"], until_ms, config_version

    return lambda customer_id: {metric.id: value(customer_id, metric) for metric in metrics}


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
