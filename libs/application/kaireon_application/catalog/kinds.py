"""Every kind of the catalogue, in the order of the documentation."""

from __future__ import annotations

from kaireon_application.catalog.category import CATEGORY, SUB_CATEGORY
from kaireon_application.catalog.channel import CHANNEL, PLACEMENT
from kaireon_application.catalog.contact_policy import CONTACT_POLICY
from kaireon_application.catalog.creative import CREATIVE
from kaireon_application.catalog.frequency_cap import FREQUENCY_CAP
from kaireon_application.catalog.kind import EntityKind
from kaireon_application.catalog.offer import OFFER
from kaireon_application.catalog.outcome_type import OUTCOME_TYPE
from kaireon_application.catalog.qualification_rule import QUALIFICATION_RULE
from kaireon_application.customers.behavioral_metric import BEHAVIORAL_METRIC

CATALOGUE_KINDS: tuple[EntityKind, ...] = (
    OFFER,
    CREATIVE,
    CATEGORY,
    SUB_CATEGORY,
    CHANNEL,
    PLACEMENT,
    OUTCOME_TYPE,
    QUALIFICATION_RULE,
    CONTACT_POLICY,
    BEHAVIORAL_METRIC,
    FREQUENCY_CAP,
)
