"""`kaireon store`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from kaireon_application.customers.copy_interactions import Comparison, CopyInteractions
from kaireon_application.customers.interaction_store import ExportWindow, InteractionStore, StoreMissing
from kaireon_application.errors import InvalidInput, KaireonError
from kaireon_cli.connection import find_connection, opened_database
from kaireon_cli.output import print_json, print_line
from kaireon_runtime.settings import load
from kaireon_runtime.store_settings import InteractionStoreSettings, StoreBackend
from kaireon_storage.interactions.ddl import DEFAULT_REPLICAS, ddl_of
from kaireon_storage.interactions.opening import opened_stores
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.interaction_copies import PostgresCopyLog
from kaireon_storage.postgres.interactions import PostgresInteractions

app = typer.Typer(no_args_is_help=True, help="Interaction stores beside Postgres.")

# What is being written to both stores while they are read differs for a moment, and only for a moment.
_COMPARISONS = 5
_PAUSE_SECONDS = 3.0
# A record that ends while it is copied is in one store and not in the other.
_MARGIN = timedelta(hours=1)


class StoresDiffer(KaireonError):
    """The stores do not hold the same."""

    code = "STORES_DIFFER"


@app.callback()
def store() -> None:
    """Interaction stores beside Postgres."""


@app.command("ddl")
def print_ddl(
    backend: Annotated[StoreBackend, typer.Option(help="The store.")],
    replicas: Annotated[int, typer.Option(min=1, max=9, help="Of Cassandra and Scylla.")] = DEFAULT_REPLICAS,
) -> None:
    """Print what makes the store's table, with the names that the settings have: CQL, or commands of `aws`."""
    print_line(ddl_of(load(InteractionStoreSettings), backend, replicas))


@app.command("copy")
def copy_store(
    source: Annotated[StoreBackend, typer.Option("--from", help="Where interactions are read.")],
    target: Annotated[StoreBackend, typer.Option("--to", help="Where they are written.")],
    *,
    restart: Annotated[bool, typer.Option("--restart", help="Copy everything again, not from where it was.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the comparison and nothing else.")] = False,
) -> None:
    """Copy every tenant's interactions, then compare both stores; an interrupted copy goes on where it was.

    Have new ones written to both meanwhile (INTERACTION_STORE, INTERACTION_STORE_DUAL_WRITE).
    """
    if source is target:
        raise InvalidInput("--from and --to are the same store")
    copied, comparison = asyncio.run(_copy(load(InteractionStoreSettings), source, target, restart=restart))
    if json:
        print_json({"copied": copied, **_told(comparison)})
    else:
        counts = f"{source} has {comparison.source_count}, {target} has {comparison.target_count}"
        print_line(f"{copied} interactions copied; of the window {counts}")
    if not comparison.is_equal:
        ranges = len(comparison.differing_ranges)
        raise StoresDiffer(f"{ranges} of 256 ranges of customers differ; copy again")


def _told(comparison: Comparison) -> dict[str, object]:
    return {
        "sourceCount": comparison.source_count,
        "targetCount": comparison.target_count,
        "differingRanges": comparison.differing_ranges,
    }


async def _copy(
    settings: InteractionStoreSettings, source: StoreBackend, target: StoreBackend, *, restart: bool
) -> tuple[int, Comparison]:
    retention_days = settings.interaction_store_retention_days or None
    now = datetime.now(UTC)
    since = None if retention_days is None else now - timedelta(days=retention_days) + _MARGIN
    async with opened_database(find_connection()) as database, _opened(settings, database, source, target) as stores:
        copying = CopyInteractions(
            stores[source], stores[target], ExportWindow(since=since, until=now), retention_days=retention_days
        )
        log, names = PostgresCopyLog(database), (source.value, target.value)
        if restart:
            await log.forget(*names)
        copied = await copying.copy(log, names, _report)
        comparison = await _compared(copying)
        # The next one is another copy: this one has nothing left to go on with.
        await log.forget(*names)
        return copied, comparison


async def _compared(copying: CopyInteractions) -> Comparison:
    comparison = await copying.compare()
    for _ in range(_COMPARISONS - 1):
        if comparison.is_equal:
            break
        await asyncio.sleep(_PAUSE_SECONDS)
        comparison = await copying.compare()
    return comparison


@asynccontextmanager
async def _opened(
    settings: InteractionStoreSettings, database: Database, *backends: StoreBackend
) -> AsyncGenerator[dict[StoreBackend, InteractionStore]]:
    external = [backend for backend in backends if backend is not StoreBackend.PG]
    async with opened_stores(settings, external) as stores:
        try:
            await stores.require()
        except StoreMissing as error:
            # The command is one line, what makes a table may be several.
            hint = "; ".join(f"kaireon store ddl --backend {backend}" for backend in external)
            raise StoreMissing(f"{error.message.splitlines()[0].removesuffix(':')} what this prints: {hint}") from None
        found: dict[StoreBackend, InteractionStore] = {backend: stores.stores[backend] for backend in external}
        yield {StoreBackend.PG: PostgresInteractions(database), **found}


def _report(copied: int) -> None:
    sys.stderr.write(f"\r{copied} interactions copied")
    sys.stderr.flush()
