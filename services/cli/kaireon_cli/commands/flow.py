"""`kaireon flow`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from kaireon_cli.commands.simulate_flow import simulate_flow
from kaireon_cli.flow_file import read_document, read_flow
from kaireon_cli.output import print_json, print_line
from kaireon_core.decisioning.explain_flow import explain_flow
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
    problems = _problems(read_document(file), FlowKind.DRAFT if draft else FlowKind.PUBLISHED)
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
    changes = diff_flows(read_flow(before), read_flow(after))
    if json:
        print_json({"changes": changes})
    for change in () if json else changes:
        print_line(_told(change))
    if changes:
        raise typer.Exit(_INVALID)


@app.command("explain")
def explain_flow_file(
    file: Annotated[Path, typer.Argument(help="The flow's configuration, JSON or YAML.", metavar="FILE")],
    *,
    json: Annotated[bool, typer.Option("--json", help="Print {steps, notes} and nothing else.")] = False,
) -> None:
    """Tell what a flow does, node by node in the order in which they run, from the file alone."""
    explanation = explain_flow(read_flow(file))
    if json:
        print_json(explanation)
        return
    for step in explanation.steps:
        branch = f"{step.branch} " if step.branch else ""
        print_line(f"{'  ' * step.depth}{branch}{step.id} ({step.type}, phase {step.phase}): {step.text}")
    for note in explanation.notes:
        print_line(f"note: {note}")


app.command("simulate")(simulate_flow)


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
        parse_flow(document, kind)
    except InvalidValue as error:
        return error.problems
    return ()
