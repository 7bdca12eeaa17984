"""Telling a decision in words: for a regulator, for an agent who talks to the customer, for the customer."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from kaireon_application.decisioning.explain_trace import StoredTrace
from kaireon_application.decisioning.narrative_facts import facts_of
from kaireon_application.decisioning.narrative_leaks import agent_leaks, customer_leaks
from kaireon_application.decisioning.narrative_modes import tell_agent, tell_customer, tell_regulator
from kaireon_application.decisioning.narrative_words import languages, words_of
from kaireon_core.problems import Problem

DEFAULT_LANGUAGE = "en"
Grade: TypeAlias = Literal["A", "B", "C", "D", "F"]
_COST_OF_A_LEAK = 0.25
# The least score of each grade, best first.
_GRADES: tuple[tuple[float, Grade], ...] = ((0.9, "A"), (0.75, "B"), (0.6, "C"), (0.4, "D"), (0.0, "F"))


class NarrativeMode(StrEnum):
    """Whom a decision is told to."""

    REGULATOR = "regulator"
    AGENT = "agent"
    CUSTOMER = "customer"


class NarrativeRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Asks for a narrative; `language` is a code like `de` or `de-AT`, of which only the language counts."""

    mode: NarrativeMode
    language: Annotated[str, Meta(min_length=1, max_length=35)] = DEFAULT_LANGUAGE

    @property
    def told_in(self) -> str:
        """The language without its region."""
        return self.language.replace("_", "-").partition("-")[0].lower()

    def problems(self) -> Iterator[Problem]:
        """Yield what the types leave open."""
        if self.told_in not in languages():
            yield Problem(path="$.language", message=f"must be one of: {', '.join(languages())}")


class NarrativeQuality(msgspec.Struct, frozen=True, kw_only=True):
    """`score`: the share of the facts that the mode should tell and does, less a quarter for each leak warning."""

    score: Annotated[float, Meta(ge=0, le=1)]
    grade: Grade


class Narrative(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A decision in words. `model` is who wrote it: sentences of the product's own, filled in; nothing is cached."""

    narrative: str
    mode: NarrativeMode
    model: Literal["template"] = "template"
    cached: bool = False
    language: str
    quality: NarrativeQuality
    leak_warnings: list[str]


def narrate(trace: StoredTrace, request: NarrativeRequest) -> Narrative:
    """Return the narrative of a decision; the same trace gives the same words."""
    facts, words = facts_of(trace), words_of(request.told_in)
    match request.mode:
        case NarrativeMode.REGULATOR:
            told, leaks = tell_regulator(facts, words), list[str]()
        case NarrativeMode.AGENT:
            told = tell_agent(facts, words)
            leaks = agent_leaks(told.text, facts)
        case NarrativeMode.CUSTOMER:
            told = tell_customer(facts, words)
            leaks = customer_leaks(told.text, facts)
    return Narrative(
        narrative=told.text,
        mode=request.mode,
        language=request.told_in,
        quality=_quality(told.completeness, len(leaks)),
        leak_warnings=leaks,
    )


def _quality(completeness: float, leaks: int) -> NarrativeQuality:
    score = round(max(0.0, completeness - _COST_OF_A_LEAK * leaks), 2)
    return NarrativeQuality(score=score, grade=_grade(score))


def _grade(score: float) -> Grade:
    return next(grade for least, grade in _GRADES if score >= least)
