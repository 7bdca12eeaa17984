"""`kaireon search`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from kaireon_application.errors import InvalidInput
from kaireon_cli.connection import find_connection, opened_database
from kaireon_cli.output import print_json, print_line
from kaireon_runtime.settings import SearchBackend, SearchSettings, load
from kaireon_storage.search.feed import SearchFeed
from kaireon_storage.search.opensearch import OpenSearch

app = typer.Typer(no_args_is_help=True, help="The index in which the catalogue is searched.")


@app.callback()
def search() -> None:
    """The index in which the catalogue is searched."""


@app.command("rebuild")
def rebuild(
    *,
    json: Annotated[bool, typer.Option("--json", help="Print {count} and nothing else.")] = False,
) -> None:
    """Write the OpenSearch index anew, from everything that is configured; searches go on in Postgres meanwhile."""
    settings = load(SearchSettings)
    if settings.search_index is not SearchBackend.OPENSEARCH:
        raise InvalidInput("SEARCH_INDEX is pg: its words are kept by Postgres itself, there is nothing to rebuild")
    count = asyncio.run(_rebuild(settings))
    if json:
        print_json({"count": count})
        return
    print_line(f"{count} things can be found")


async def _rebuild(settings: SearchSettings) -> int:
    index = OpenSearch(settings)
    try:
        async with opened_database(find_connection()) as database:
            return await SearchFeed(database, index).rebuild()
    finally:
        await index.close()
