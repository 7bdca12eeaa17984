"""Ranking profiles: what a tenant weighs when it ranks, by objective."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta, Struct

from kaireon_application.catalog.fields import Status
from kaireon_application.catalog.kind import Change, EntityKind
from kaireon_core.decisioning.parse_flow import weights_problems
from kaireon_core.problems import Problem

ProfileKey = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]
ProfileName = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
Weight = Annotated[float, Meta(ge=0, le=1)]


class NewRankingProfile(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A profile as it is created; an objective that is not named weighs nothing."""

    key: ProfileKey | None = None
    name: ProfileName
    status: Status = "active"
    description: Annotated[str, Meta(max_length=1000)] | None = None
    weights: dict[str, Weight]


def _problems(change: Change) -> Iterable[Problem]:
    return weights_problems(change.document["weights"], f"{change.path}.weights")


RANKING_PROFILE = EntityKind(
    name="ranking_profile",
    noun="ranking profile",
    path="ranking-profiles",
    create=NewRankingProfile,
    example={"name": "Growth", "key": "growth", "weights": {"propensity": 0.5, "revenue": 0.3, "recency": 0.2}},
    problems=_problems,
)
