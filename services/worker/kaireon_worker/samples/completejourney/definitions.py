"""Everything that the pack configures but its flow, in an order in which each thing refers only to earlier ones."""

from __future__ import annotations

from datetime import timedelta

from kaireon_worker.samples.completejourney.catalogue import channels, creatives, hierarchy, offers
from kaireon_worker.samples.completejourney.model_forms import models
from kaireon_worker.samples.completejourney.offers import OfferFacts
from kaireon_worker.samples.completejourney.rules import contact_policies, qualification_rules
from kaireon_worker.samples.completejourney.schemas import schemas
from kaireon_worker.samples.definition import Definition, Identities


def definitions(facts: list[OfferFacts], shift: timedelta, ids: Identities) -> list[Definition]:
    """Return the pack's definitions, those of one kind together."""
    return [
        *schemas(),
        *hierarchy(ids),
        *channels(ids),
        *offers(facts, shift, ids),
        *creatives(facts, ids),
        *qualification_rules(ids),
        *contact_policies(ids),
        *models(),
    ]
