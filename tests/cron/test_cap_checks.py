"""The scheduled job checks caps, and tells of what it finds."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.storage.test_cap_checks import POLICY, World

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Database
    from kaireon_testkit.platform.tenant import Tenant


async def tick(database_url: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run the job as a process; return the line that it prints, and the errors of its log."""
    environment = {**os.environ, "DATABASE_URL": database_url, "LOG_FORMAT": "json"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kaireon_cron", "flow-scheduler-tick"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    lines = [json.loads(line) for line in output.splitlines()]
    [told] = [line for line in lines if "job" in line]
    return told, [line for line in lines if line.get("level") == "error"]


async def test_a_violation_is_told_once_and_says_nothing_of_customers(
    database: Database, database_url: str, tenant: Tenant
) -> None:
    world = World(database=database, tenant=tenant)
    await world.configure({"maxTotal": 1})
    assert (await tick(database_url))[0]["capViolations"] == 0
    await world.run("UPDATE cap_checks SET checked_to = checked_to - interval '1 hour'")
    for minutes in (30, 20):
        await world.answer(datetime.now(UTC) - timedelta(minutes=minutes), "somebody")

    told, lines = await tick(database_url)
    again, nothing = await tick(database_url)

    assert (told["capViolations"], again["capViolations"], nothing) == (1, 0, [])
    [line] = lines
    assert (line["level"], line["message"]) == ("error", "answers went beyond a cap")
    own = {"tenantId": str(tenant.tenant_id), "policyId": str(POLICY), "ruleType": "frequency_cap", "offers": 1}
    assert line | own == line
    assert line["recommendationId"]
    assert "somebody" not in json.dumps(line)
