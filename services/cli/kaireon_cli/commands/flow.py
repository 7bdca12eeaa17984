"""`kaireon flow`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import typer

from kaireon_application.errors import InvalidInput
from kaireon_cli.output import print_json, print_line
from kaireon_core.decisioning.flow import Flow
from kaireon_core.decisioning.flow_diff import ChangeKind, FlowChange, diff_flows
from kaireon_core.decisioning.parse_flow import FlowKind, parse_flow
from kaireon_core.problems import InvalidValue, Problem

app = typer.Typer(no_args_is_help=True, help="Decision flows.")

_INVALID = 1


@app.callback()
def flows() -> None:
    """Decision flows."""


@app.command("validate")
def validate_flow(
    file: Annotated[Path, typer.Argument(help="The flow's configuration, JSON or YAML.", metavar="FILE")],
    *,
    draft: Annotated[bool, typer.Option("--draft", help="Accept a flow that is not finished yet.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print {valid, problems} and nothing else.")] = False,
) -> None:
    """Check a decision flow as publishing it would, without references to things of a tenant; name every problem."""
    problems = _problems(_read(file), FlowKind.DRAFT if draft else FlowKind.PUBLISHED)
    if json:
        print_json({"valid": not problems, "problems": problems})
    elif not problems:
        print_line(f"{file}: valid")
    for problem in () if json else problems:
        sys.stderr.write(f"{file}: {problem.path}: {problem.message}\n")
    if problems:
        raise typer.Exit(_INVALID)


@app.command("diff")
def diff_flow_files(
    before: Annotated[Path, typer.Argument(help="The flow as it was, JSON or YAML.", metavar="BEFORE")],
    after: Annotated[Path, typer.Argument(help="The flow as it is.", metavar="AFTER")],
    *,
    json: Annotated[bool, typer.Option("--json", help="Print {changes} and nothing else.")] = False,
) -> None:
    """Say what differs between two flows, node by node; exit with code 1 when something does, as diff does."""
    changes = diff_flows(_flow(before), _flow(after))
    if json:
        print_json({"changes": changes})
    for change in () if json else changes:
        print_line(_told(change))
    if changes:
        raise typer.Exit(_INVALID)


def _flow(file: Path) -> Flow:
    try:
        return parse_flow(_configuration(_read(file)), FlowKind.DRAFT)
    except InvalidValue as error:
        raise InvalidInput(f"{file} is no flow: {error}") from None


def _told(change: FlowChange) -> str:
    before, after = (msgspec.json.encode(value).decode() for value in (change.before, change.after))
    match change.kind:
        case ChangeKind.ADDED:
            return f"+ {change.path}: {after}"
        case ChangeKind.REMOVED:
            return f"- {change.path}: {before}"
        case ChangeKind.CHANGED:
            return f"~ {change.path}: {before} -> {after}"
        case ChangeKind.MOVED:
            return f"~ {change.path}: the order {before} -> {after}"


def _problems(document: Any, kind: FlowKind) -> tuple[Problem, ...]:
    try:
        parse_flow(_configuration(document), kind)
    except InvalidValue as error:
        return error.problems
    return ()


def _configuration(document: Any) -> Any:
    # A whole flow as the API shows it is welcome too: its draft is what is checked.
    if not isinstance(document, dict):
        return document
    flow = cast("dict[str, Any]", document)
    return flow.get("draftConfig", flow)


def _read(file: Path) -> Any:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror}") from None
    try:
        return msgspec.yaml.decode(content) if file.suffix in {".yaml", ".yml"} else msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"{file}: {error}") from None
