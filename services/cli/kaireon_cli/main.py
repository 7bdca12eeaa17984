"""The `kaireon` command."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any

import typer

from kaireon_application.errors import KaireonError
from kaireon_cli.commands import (
    data,
    doctor,
    evaluate,
    flow,
    gitops,
    key,
    mcp,
    migrate,
    outbox,
    search,
    seed,
    store,
    tenant,
)

_MISSING_EXTRA = "kaireon: the local stack is not installed here: install kaireon-cli[run], or use `make run`"


def build_app() -> typer.Typer:
    """Return the command with all its sub-commands."""
    app = typer.Typer(
        name="kaireon",
        help="Run, migrate and look after Kaireon.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.command("run")(run_stack)
    app.command("reset")(reset_stack)
    app.command("migrate")(migrate.migrate_database)
    app.command("seed")(seed.seed_pack)
    app.command("evaluate")(evaluate.evaluate_policy)
    app.command("doctor")(doctor.examine_installation)
    app.command("apply")(gitops.apply_directory)
    app.command("diff")(gitops.diff_directory)
    app.command("mcp")(mcp.serve_tools)
    nouns = (("tenant", tenant), ("key", key), ("flow", flow), ("outbox", outbox), ("data", data), ("search", search))
    for name, noun in (*nouns, ("store", store)):
        app.add_typer(noun.app, name=name)
    return app


def run_stack(
    *,
    until_parent_ends: Annotated[bool, typer.Option("--until-parent-ends", hidden=True)] = False,
) -> None:
    """Start the whole suite on this machine, with its sample data, and stay in the foreground."""
    raise typer.Exit(_local_stack().run_stack(until_parent_ends=until_parent_ends))


def reset_stack() -> None:
    """Erase everything that running this clone has made: databases, keys, secrets."""
    raise typer.Exit(_local_stack().reset_stack())


def _local_stack() -> Any:
    # Asked for by name and only now: elsewhere than in a clone its packages are not installed.
    if find_spec("kaireon_testkit") is None:
        sys.stderr.write(f"{_MISSING_EXTRA}\n")
        raise typer.Exit(1)
    return import_module("kaireon_cli.run.command")


def main(arguments: list[str] | None = None) -> None:
    """Run the command, by default as the process was called; what is wrong is one line on stderr and exit code 1."""
    # The pool of connections tells of each attempt; the command tells what came of them.
    logging.getLogger("psycopg").addHandler(logging.NullHandler())
    try:
        build_app()(arguments)
    except KaireonError as error:
        line = " ".join(error.message.split())
        sys.stderr.write(f"kaireon: {line}\n")
        sys.exit(1)
