"""The outcome types that every tenant has from the start; nobody can change or delete them."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Classification(StrEnum):
    """What an outcome says about the offer."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    NEUTRAL = "neutral"


class OutcomeCategory(StrEnum):
    """Whether an outcome says that an offer was shown, or what the customer did."""

    IMPRESSION = "impression"
    RESPONSE = "response"


class SystemOutcomeType(msgspec.Struct, frozen=True):
    """One outcome type; its place in the list is its ordinal."""

    key: str
    name: str
    description: str
    classification: Classification
    category: OutcomeCategory


_POSITIVE, _NEGATIVE, _NEUTRAL = Classification
_IMPRESSION, _RESPONSE = OutcomeCategory

SYSTEM_OUTCOME_TYPES = (
    SystemOutcomeType("impression", "Impression", "The offer was shown.", _NEUTRAL, _IMPRESSION),
    SystemOutcomeType("click", "Click", "The customer opened the offer.", _POSITIVE, _RESPONSE),
    SystemOutcomeType("dismiss", "Dismiss", "The customer closed the offer.", _NEGATIVE, _RESPONSE),
    SystemOutcomeType("accept", "Accept", "The customer took the offer.", _POSITIVE, _RESPONSE),
    SystemOutcomeType("convert", "Convert", "The offer led to what it was made for.", _POSITIVE, _RESPONSE),
    SystemOutcomeType("not_presented", "Not presented", "The offer was chosen but not shown.", _NEUTRAL, _IMPRESSION),
    SystemOutcomeType("requested_info", "Requested info", "The customer asked for more.", _POSITIVE, _RESPONSE),
    SystemOutcomeType("not_interested", "Not interested", "The customer declined the offer.", _NEGATIVE, _RESPONSE),
    SystemOutcomeType("expired", "Expired", "The offer ended before an answer came.", _NEUTRAL, _IMPRESSION),
    SystemOutcomeType("deferred", "Deferred", "The customer put the offer off.", _NEUTRAL, _RESPONSE),
)
