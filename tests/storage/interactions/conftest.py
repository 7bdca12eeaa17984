"""Every interaction store that can be had, empty, for the contract suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kaireon_storage.postgres.interactions import PostgresInteractions

if TYPE_CHECKING:
    from kaireon_application.customers.interaction_store import InteractionStore
    from kaireon_storage.postgres.database import Database
    from kaireon_testkit.platform.tenant import Tenant


@pytest.fixture
def store(database: Database, tenant: Tenant) -> InteractionStore:
    """A store without records, and a tenant in Postgres."""
    del tenant
    return PostgresInteractions(database)
