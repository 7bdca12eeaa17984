"""`kaireon flow simulate`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kaireon_application.errors import InvalidInput, KaireonError, Unavailable
from kaireon_cli.api_client import Answer, ApiUnreachable
from kaireon_cli.connection import find_api
from kaireon_cli.customer_file import read_customers
from kaireon_cli.flow_file import read_document, read_flow
from kaireon_cli.output import print_json, print_line
from kaireon_core.decisioning.parse_flow import FlowKind

_PATH = "/api/v1/simulate"
_OK, _INVALID = 200, 400
# A thousand customers and a large model take their time.
_TIMEOUT_SECONDS = 120


class SimulationRefused(KaireonError):
    """The API refused the simulation."""

    code = "REFUSED"


def simulate_flow(
    file: Annotated[Path, typer.Argument(help="The flow's configuration, JSON or YAML.", metavar="FILE")],
    customers: Annotated[Path, typer.Option(help="Customers: a JSON list, or NDJSON; ids, or {customerId, ...}.")],
    *,
    channel: Annotated[str | None, typer.Option(help="The channel that is asked for, by type.")] = None,
    placement: Annotated[str | None, typer.Option(help="The placement that is asked for.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=50, help="How many offers each customer gets at most.")] = 5,
    json: Annotated[bool, typer.Option("--json", help="Print the simulation as the API answers it.")] = False,
) -> None:
    """Say what a flow in a file would decide for customers, with a tenant's configuration; nothing is recorded."""
    read_flow(file, FlowKind.PUBLISHED)
    body = {
        "flow": read_document(file),
        "customers": read_customers(customers),
        "channel": channel,
        "placement": placement,
        "limit": limit,
    }
    found = _simulation(asyncio.run(_call(body)), file)
    if json:
        print_json(found)
        return
    for line in _told(found):
        print_line(line)


async def _call(body: Mapping[str, Any]) -> Answer:
    try:
        return await find_api(_TIMEOUT_SECONDS).call("POST", _PATH, body)
    except ApiUnreachable as error:
        raise Unavailable(f"the API does not answer: {error}") from None


def _simulation(answer: Answer, file: Path) -> dict[str, Any]:
    if answer.status == _OK:
        return answer.body
    if answer.status == _INVALID:
        raise InvalidInput(f"{file}: {answer.refusal()}")
    raise SimulationRefused(f"the API refused: {answer.refusal()}")


def _told(found: Mapping[str, Any]) -> list[str]:
    mean = "" if found["averageScore"] is None else f", with a mean score of {found['averageScore']:.4g}"
    results = found["results"]
    return [
        f"{found['reachableCustomers']} of {len(results)} customers get {found['offersDelivered']} offers{mean}",
        *(f"  {one['offerKey']}: {one['count']}" for one in found["topOffers"]),
        *(_customer(one) for one in results),
    ]


def _customer(result: Mapping[str, Any]) -> str:
    decisions, summary = result["decisions"], result["traceSummary"]
    offers = ", ".join(f"{one['offerKey']} ({one['score']:.4g})" for one in decisions) or "nothing"
    left = [summary[name] for name in ("totalCandidates", "afterQualification", "afterContactPolicy")]
    degraded = "; the model could not score" if result["degradedScoring"] else ""
    counts = "{} candidates, {} after qualification, {} after contact policies".format(*left)
    return f"{result['customerId']}: {offers} [{counts}{degraded}]"
