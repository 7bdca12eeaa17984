"""Random pasts: what customers did, and the rules and policies that look at it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.core.decisioning import world_words as words
from tests.core.decisioning.world_words import Thing


def outcome(chance: Random, contact: Thing) -> Thing:
    """Return something done where and when a contact was."""
    key = chance.choice(list(words.OUTCOMES)[1:])
    return {**contact, "outcome": key, "classification": words.OUTCOMES[key]}


def outcome_based(chance: Random) -> Thing:
    keys, days = list(words.OUTCOMES), chance.choice(words.BAN_DAYS)
    if chance.randrange(4) == 0:
        return {"outcomeType": chance.choice(keys), "lookbackDays": days, "action": "suppress"}
    after = chance.choice([chance.choice(keys), chance.sample(keys, 2)])
    per_offer = {"perOffer": True} if chance.randrange(4) == 0 else {}
    return {"afterOutcome": after, "suppressForDays": days, **per_offer}


def category_suppression(chance: Random) -> Thing:
    sub_category = {"subCategoryId": "sub0"} if chance.randrange(4) == 0 else {}
    days = chance.choice(words.BAN_DAYS)
    return {"categoryId": chance.choice(words.CATEGORIES), **sub_category, "suppressionDays": days}


def metric_condition(chance: Random) -> Thing:
    operator = chance.choice(["eq", "neq", "gt", "gte", "lt", "lte"])
    return {"metric": chance.choice(words.METRIC_NAMES), "operator": operator, "value": chance.choice([0, 1, 2.5])}


def metrics(chance: Random) -> Thing:
    """Return values of metrics; one that is not there is 0."""
    return {id_: chance.choice([0, 1, 2, 2.5, -3]) for id_ in ("m0", "m1") if chance.randrange(4)}


def policies(chance: Random) -> dict[str, Callable[[], Thing]]:
    """Return what draws the configuration of each type of policy."""
    return {
        "outcome_based": lambda: outcome_based(chance),
        "category_suppression": lambda: category_suppression(chance),
        "metric_condition": lambda: metric_condition(chance),
    }


def time_window(chance: Random) -> Thing:
    hours = {"startHour": chance.choice([0, 1, 5, 8, 12, 18, 23]), "endHour": chance.choice([0, 1, 6, 8, 12, 23, 24])}
    days = {"allowedDays": chance.sample(range(7), chance.randint(1, 6))}
    zone = {"timezone": chance.choice(words.ZONES)} if chance.randrange(3) == 0 else {}
    return {**chance.choice([hours, days, {**hours, **days}]), **zone}
