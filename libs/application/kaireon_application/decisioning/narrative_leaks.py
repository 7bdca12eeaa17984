"""What should not be read by those whom a narrative is told to: found in the finished text, as a second look."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kaireon_application.decisioning.narrative_facts import NarrativeFacts

# Attributes whose values say what a person need not tell, as parts of their names.
_SENSITIVE = (
    "birth",
    "disab",
    "ethnic",
    "gender",
    "health",
    "income",
    "marital",
    "nationality",
    "politic",
    "pregnan",
    "race",
    "relig",
    "salary",
    "sex",
    "union",
)
_SHORTEST = 3  # shorter values are found by chance
_PATTERNS = (
    ("an e-mail address", re.compile(r"[\w.+-]+@[\w-]+\.\w+")),
    ("a telephone number", re.compile(r"\+?\d[\d ()/-]{7,}\d")),
    ("an id", re.compile(r"\b(?:rec_)?[0-9a-f]{8}-[0-9a-f]{4}-", re.IGNORECASE)),
)
_SCORE = re.compile(r"\b[01][.,]\d{2,}\b")


def customer_leaks(text: str, facts: NarrativeFacts) -> list[str]:
    """Return a warning for everything internal or private that a text for the customer contains."""
    warnings = [*_private(text, facts)]
    warnings += [f"names {what} '{name}'" for what, name in _internal(facts) if _has(text, name)]
    if _SCORE.search(text):
        warnings.append("contains what looks like a score")
    return list(dict.fromkeys(warnings))


def agent_leaks(text: str, facts: NarrativeFacts) -> list[str]:
    """Return a warning for everything private that a text for an agent contains; rules and scores are theirs."""
    return list(dict.fromkeys(_private(text, facts)))


def _private(text: str, facts: NarrativeFacts) -> Iterator[str]:
    for what, pattern in _PATTERNS:
        if pattern.search(text):
            yield f"contains {what}"
    if _has(text, facts.trace.customer_id):
        yield "contains the customer's id"
    attributes = {**facts.trace.facts.get("customer", {}), **facts.trace.facts.get("context", {})}
    for name, value in attributes.items():
        is_sensitive = any(part in name.lower() for part in _SENSITIVE)
        if is_sensitive and isinstance(value, str) and len(value) >= _SHORTEST and _has(text, value):
            yield f"contains the customer's {name}"


def _internal(facts: NarrativeFacts) -> Iterator[tuple[str, str]]:
    """Yield what the customer has no use for: rules, policies, the flow, the model, keys, creatives, segments."""
    for reason, _ in facts.drops:
        if reason.entity_name:
            yield "the rule or policy", reason.entity_name
    for what, name in (("the flow", facts.trace.decision_flow_key), ("the model", facts.model_key)):
        if name:
            yield what, name
    for one in facts.chosen:
        if one.offer_key != one.offer_name:
            yield "the key", one.offer_key
        if one.creative_name and one.creative_name != one.offer_name:
            yield "the creative", one.creative_name
    for segment in facts.trace.facts.get("segments", []):
        yield "the segment", str(segment)


def _has(text: str, name: str) -> bool:
    """Whether a name stands in a text as a word of its own."""
    return len(name) >= _SHORTEST and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) is not None
