"""What the pack configures is complete, refers only to itself, and is what its listing says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from kaireon_application.platform.sample_packs import COMPLETE_JOURNEY
from kaireon_worker.samples.completejourney.definitions import definitions
from kaireon_worker.samples.completejourney.offers import OfferFacts
from kaireon_worker.samples.completejourney.source import Source, shift_from
from kaireon_worker.samples.definition import Definition, Identities

_TENANT = UUID(int=11)
_SEED_DAY = date(2026, 3, 10)


@pytest.fixture(scope="module")
def made(source: Source, facts: list[OfferFacts]) -> list[Definition]:
    """Everything the pack configures for one tenant."""
    return definitions(facts, shift_from(source.last_day, _SEED_DAY), Identities(_TENANT, COMPLETE_JOURNEY.key))


def test_definitions_are_as_many_as_the_listing_says(made: list[Definition]) -> None:
    listed = COMPLETE_JOURNEY
    assert Counter(definition.kind for definition in made) == {
        "schema": listed.schema_count,
        "category": listed.category_count,
        "sub_category": listed.sub_category_count,
        "channel": listed.channel_count,
        "placement": listed.placement_count,
        "offer": listed.offer_count,
        "creative": listed.creative_count,
        "qualification_rule": listed.qualification_rule_count,
        "contact_policy": listed.contact_policy_count,
        "algorithm_model": listed.model_count,
    }


def test_definitions_refer_only_to_what_was_defined_before(made: list[Definition]) -> None:
    ids = Identities(_TENANT, COMPLETE_JOURNEY.key)
    seen = set[str]()
    for definition in made:
        referred = {text for text in _texts(definition.wire) if _is_id(text)}
        assert referred <= seen, definition.key
        seen.add(ids.text(definition.kind, definition.key))
    assert len(seen) == len(made)


def test_offers_are_open_on_the_day_of_the_seed(made: list[Definition]) -> None:
    for definition in made:
        schedule = definition.wire.get("schedule")
        if schedule:
            assert schedule["startDate"] < _SEED_DAY.isoformat() < schedule["endDate"]
    assert sum("schedule" in definition.wire for definition in made) == 14


def test_offers_have_values_in_range(made: list[Definition]) -> None:
    offers = [definition.wire for definition in made if definition.kind == "offer"]
    assert all(1 <= offer["priority"] <= 100 and 1 <= offer["businessValue"] <= 100 for offer in offers)
    assert len({offer["priority"] for offer in offers}) > len(offers) / 2


def test_two_tenants_share_no_id(made: list[Definition]) -> None:
    one, other = Identities(_TENANT, COMPLETE_JOURNEY.key), Identities(UUID(int=12), COMPLETE_JOURNEY.key)
    mine = {one.of(definition.kind, definition.key) for definition in made}
    assert not mine & {other.of(definition.kind, definition.key) for definition in made}


def test_shift_is_whole_days_and_puts_the_last_day_before_the_seed(source: Source) -> None:
    assert source.last_day + shift_from(source.last_day, _SEED_DAY) == _SEED_DAY - timedelta(days=1)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(list(cast("dict[str, Any]", value).values()))
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from _texts(inner)


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
