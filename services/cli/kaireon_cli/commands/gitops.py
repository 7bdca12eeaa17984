"""`kaireon apply` and `kaireon diff`: a tenant's configuration from a directory of YAML."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from kaireon_application.errors import InvalidInput, Unavailable
from kaireon_cli.api_client import Answer, ApiUnreachable
from kaireon_cli.applied_files import read_directory
from kaireon_cli.connection import find_api
from kaireon_cli.output import print_json, print_line

_PATH = "/api/v1/gitops/apply"
_OK = 200
_TIMEOUT_SECONDS = 120
_SIGNS = {"create": "+", "update": "~", "unchanged": "="}

Directory = Annotated[Path, typer.Option("--file", "-f", help="The directory with the YAML.", metavar="DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the plan as the API answers it.")]


def apply_directory(
    file: Directory,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    json: AsJson = False,
) -> None:
    """Make the tenant's things be as the YAML in a directory says, all of them or none."""
    _tell(_plan(file, dry_run=dry_run), is_json=json)


def diff_directory(file: Directory, *, json: AsJson = False) -> None:
    """Say what applying a directory would change; exit code 1 when anything."""
    plan = _plan(file, dry_run=True)
    _tell(plan, is_json=json)
    if any(step["action"] != "unchanged" for step in plan["steps"]):
        raise typer.Exit(1)


def _plan(directory: Path, *, dry_run: bool) -> dict[str, Any]:
    body = {"documents": read_directory(directory), "dryRun": dry_run}
    answer = asyncio.run(_call(body))
    if answer.status != _OK:
        raise InvalidInput(f"{directory}: the API refused: {answer.refusal()}")
    return answer.body


async def _call(body: Mapping[str, Any]) -> Answer:
    try:
        return await find_api(_TIMEOUT_SECONDS).call("POST", _PATH, body)
    except ApiUnreachable as error:
        raise Unavailable(f"the API does not answer: {error}") from None


def _tell(plan: Mapping[str, Any], *, is_json: bool) -> None:
    if is_json:
        print_json(plan)
        return
    for step in plan["steps"]:
        print_line(f"{_SIGNS[step['action']]} {step['kind']} {step['key']}")
        for field, change in step["changes"].items():
            print_line(f"    {field}: {_short(change['from'])} -> {_short(change['to'])}")
    counts = {action: sum(step["action"] == action for step in plan["steps"]) for action in _SIGNS}
    done = "applied" if plan["applied"] else "not applied"
    told = f"{counts['create']} to create, {counts['update']} to update, {counts['unchanged']} unchanged"
    print_line(f"{done}: {told}")


def _short(value: Any) -> str:
    return msgspec.json.encode(value).decode()
