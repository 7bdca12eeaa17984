"""One tenant's copy of the pack: the data, and the ids that its things have there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pandas as pd

from kaireon_application.platform.sample_packs import COMPLETE_JOURNEY
from kaireon_worker.samples.completejourney.definitions import definitions
from kaireon_worker.samples.completejourney.flow import flow
from kaireon_worker.samples.completejourney.history import redemptions
from kaireon_worker.samples.completejourney.offers import OfferFacts, offer_facts
from kaireon_worker.samples.completejourney.source import Source, customer_id, load_source
from kaireon_worker.samples.definition import Definition, Identities


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantCopy:
    """What seeding and unloading both need to know."""

    tenant_id: UUID
    source: Source
    redeemed: pd.DataFrame
    facts: list[OfferFacts]
    ids: Identities

    def definitions(self, shift: timedelta) -> list[Definition]:
        """Return everything that the pack configures but its flow, which comes last of all."""
        return definitions(self.facts, shift, self.ids)

    @property
    def entity_ids(self) -> list[UUID]:
        """The ids of everything that the pack configures."""
        made = [*self.definitions(timedelta(0)), flow(self.ids)]
        return [self.ids.of(one.kind, one.key) for one in made]

    @property
    def customer_ids(self) -> list[str]:
        """All households."""
        return [customer_id(household) for household in self.source.household_ids]


def read_copy(tenant_id: UUID) -> TenantCopy:
    """Read the data (about a second) for one tenant."""
    source = load_source()
    redeemed = redemptions(source)
    return TenantCopy(
        tenant_id=tenant_id,
        source=source,
        redeemed=redeemed,
        facts=offer_facts(source, redeemed),
        ids=Identities(tenant_id, COMPLETE_JOURNEY.key),
    )
