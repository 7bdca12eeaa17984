"""A platform of its own for every fault."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.platform import Platform, running_platform


@pytest.fixture
async def platform(clone: Path, tmp_path: Path) -> AsyncIterator[Platform]:
    """The API, a worker and a publisher on servers of their own, all durable."""
    async with running_platform(clone, tmp_path) as running:
        yield running
