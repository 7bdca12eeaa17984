"""`kaireon migrate`."""

from __future__ import annotations

from kaireon_cli.connection import find_connection
from kaireon_cli.output import print_line
from kaireon_storage.migrate import migrate


def migrate_database() -> None:
    """Bring the database to this release's schema. Safe to run at any time, from several places at once."""
    applied = migrate(find_connection().migration_url)
    for name in applied:
        print_line(f"applied {name}")
    if not applied:
        print_line("up to date")
