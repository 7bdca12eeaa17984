"""`kaireon migrate`."""

from __future__ import annotations

from typing import Annotated

import typer

from kaireon_cli.connection import find_connection
from kaireon_cli.output import print_line
from kaireon_storage.migrate import Phase, migrate


def migrate_database(
    phase: Annotated[
        Phase | None,
        typer.Option(help="Expand before this release starts, contract when the previous one has gone; both without."),
    ] = None,
) -> None:
    """Bring the database to this release's schema. Safe to run at any time, from several places at once."""
    applied = migrate(find_connection().migration_url, phase)
    for name in applied:
        print_line(f"applied {name}")
    if not applied:
        print_line("up to date")
