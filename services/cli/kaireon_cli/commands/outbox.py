"""`kaireon outbox`."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from kaireon_application.errors import InvalidInput
from kaireon_application.platform.event_documents import event_documents, write_document
from kaireon_application.platform.republish import republish_events
from kaireon_cli.connection import find_connection, opened_database
from kaireon_cli.output import print_json, print_line
from kaireon_storage.postgres.outbox import PostgresOutbox

app = typer.Typer(no_args_is_help=True, help="Events that are relayed to the event bus.")


@app.callback()
def outbox() -> None:
    """Events that are relayed to the event bus."""


@app.command("republish")
def republish(
    since: Annotated[str, typer.Option(help="An instant with its time zone, such as 2026-01-31T08:00:00Z.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="Print {count} and nothing else.")] = False,
) -> None:
    """Relay events again that were sent at or after an instant, with the same ids and in the same order."""
    try:
        instant = datetime.fromisoformat(since)
    except ValueError:
        raise InvalidInput(f"--since: {since} is no instant such as 2026-01-31T08:00:00Z") from None
    count = asyncio.run(_republish(instant))
    if json:
        print_json({"count": count})
        return
    print_line(f"{count} events will be sent again")


@app.command("schemas")
def schemas(
    directory: Annotated[Path, typer.Argument(help="Where the documents are written; created where it is missing.")],
) -> None:
    """Write the JSON Schema of every event type, and an AsyncAPI document of them all."""
    directory.mkdir(parents=True, exist_ok=True)
    documents = event_documents()
    for name, document in documents.items():
        (directory / name).write_bytes(write_document(document))
    print_line(f"{len(documents)} documents in {directory}")


async def _republish(since: datetime) -> int:
    async with opened_database(find_connection()) as database:
        return await republish_events(PostgresOutbox(database), since)
