"""Random pasts: what customers did, and the policies that wait for it to pass."""

from __future__ import annotations

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
