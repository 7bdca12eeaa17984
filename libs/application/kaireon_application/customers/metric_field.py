"""What a behavioural metric may look at: the fields of an interaction, by the names that it may be given."""

from __future__ import annotations

# Fields with their other names: how summaries and older pages write them.
_NAMES: dict[str, tuple[str, ...]] = {
    "outcome": ("outcomeKey", "outcomeTypeKey", "interactionType", "outcome_key"),
    "classification": (),
    "direction": (),
    "offerId": ("offer_id", "actionId"),
    "creativeId": ("creative_id", "treatmentId"),
    "channelId": ("channel_id",),
    "placementId": ("placement_id",),
    "categoryId": ("category_id",),
    "subCategoryId": ("sub_category_id",),
    "conversionValue": ("conversion_value", "value"),
    "rank": (),
    "score": (),
    "eventType": ("event_type",),
}
_FIELDS = {name: field for field, others in _NAMES.items() for name in (field, *others)}
_NUMBERS = frozenset({"conversionValue", "rank", "score"})
# What was sent with an interaction; below these any name may stand.
_SENT = frozenset({"context", "outcomeDetails", "attributes", "metadata", "properties"})
# What behavioural events alone have: a metric that looks at one of these is about them, every other one is not.
_OF_EVENTS = frozenset({"eventType", "properties"})
# The kinds of the things that fields refer to.
REFERRED = {
    "offerId": "offer",
    "creativeId": "creative",
    "channelId": "channel",
    "placementId": "placement",
    "categoryId": "category",
    "subCategoryId": "sub_category",
}

FIELD_PROBLEM = (
    f"must be one of {', '.join(_NAMES)}, or a field below {', '.join(sorted(_SENT))}, such as outcomeDetails.amount"
)


def field_of(name: str) -> str | None:
    """Return a field by the name that was given to it, None for an unknown one; `outcomeDetails.x` is `x` below."""
    head, dot, rest = name.partition(".")
    if dot and rest and head in _SENT:
        return name
    return _FIELDS.get(name)


def is_of_events(name: str) -> bool:
    """Return whether a field, by any of its names, is one that behavioural events alone have."""
    return (field_of(name) or name).partition(".")[0] in _OF_EVENTS


def is_number(field: str) -> bool:
    """Return whether a field may hold a number."""
    return field in _NUMBERS or field.partition(".")[0] in _SENT
