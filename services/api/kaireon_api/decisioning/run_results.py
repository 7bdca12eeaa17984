"""The results of a batch run, line by line."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from uuid import UUID

from kaireon_application.decisioning.run_answer import RunReader

LINES = "application/x-ndjson"
# So many lines are read, and sent, at once.
_PAGE = 500


async def lines_of(runs: RunReader, tenant_id: UUID, run_id: UUID) -> AsyncGenerator[bytes]:
    """Yield the results in the order of the list, some hundred whole lines at a time."""
    place = -1
    while True:
        found = await runs.lines(tenant_id, run_id, place, _PAGE)
        if found:
            yield "".join([f"{line}\n" for _, line in found]).encode()
        if len(found) < _PAGE:
            return
        place = found[-1][0]
