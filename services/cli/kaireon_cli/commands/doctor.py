"""`kaireon doctor`."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

import typer

from kaireon_cli.doctor.diagnose import diagnose, is_well
from kaireon_cli.doctor.settings import find_settings
from kaireon_cli.output import print_json, print_line


def examine_installation(
    *,
    json: Annotated[bool, typer.Option("--json", help="Print {isWell, checks} and nothing else.")] = False,
) -> None:
    """Look at every server of a running installation, and say what is wrong and what to do; changes nothing."""
    findings = asyncio.run(diagnose(find_settings(), time.time))
    if json:
        print_json({"isWell": is_well(findings), "checks": findings})
    else:
        for finding in findings:
            print_line(f"{finding.state:<5} {finding.name:<18} {finding.text}")
            if finding.next:
                print_line(f"{'':<24} -> {finding.next}")
    if not is_well(findings):
        raise typer.Exit(1)
