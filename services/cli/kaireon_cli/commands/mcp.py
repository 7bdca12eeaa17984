"""`kaireon mcp`: the API as tools for a language model, over stdin and stdout."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

import typer

from kaireon_cli.connection import running_api
from kaireon_runtime.settings import load

_MISSING_EXTRA = "kaireon: the tools are not installed here: install kaireon-cli[mcp]"


def serve_tools() -> None:
    """Serve the tools over stdin and stdout, for a client that starts this command."""
    # Asked for by name and only now: it is an extra.
    if find_spec("kaireon_mcp") is None:
        sys.stderr.write(f"{_MISSING_EXTRA}\n")
        raise typer.Exit(1)
    settings = load(import_module("kaireon_mcp.settings").StdioSettings, **running_api())
    import_module("kaireon_mcp.__main__").over_stdio(settings)
