"""The configurations of the nodes that weigh candidates (optimize, group) and of those that take what is hooked in."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from kaireon_core.formula.syntax import MAX_LENGTH

Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
Weight: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
FormulaText: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_LENGTH)]


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A part of a flow's JSON."""


class OptimizeConfig(Part, frozen=True, kw_only=True):
    """The weights of objectives, given or by a ranking profile; a composite score below `floor` drops."""

    profile_key: Key | None = None
    weights: dict[str, Weight] | None = None
    method: Literal["weighted_sum", "tchebycheff"] = "weighted_sum"
    floor: Weight | None = None


class GroupPlacement(Part, frozen=True, kw_only=True):
    """A placement, and how many offers it takes; without a number, its own `maxSlots`."""

    placement_id: Key
    slots: Annotated[int, Meta(ge=1, le=50)] | None = None


class GroupConfig(Part, frozen=True, kw_only=True):
    """Which placements to fill, and how: by rank (`greedy`), or for the greatest total score (`optimal`)."""

    placements: Annotated[list[GroupPlacement], Meta(max_length=20)] = []
    method: Literal["greedy", "optimal"] = "greedy"
    unique_offer: bool = True


class Hook(StrEnum):
    """What is hooked in does one of these: keeps candidates before the score, replaces it, or keeps after the rank."""

    PRE_SCORE = "pre_score"
    SCORE_OVERRIDE = "score_override"
    POST_RANK = "post_rank"


class ExtensionPointConfig(Part, frozen=True, kw_only=True):
    """A place where a formula, or what a published flow does there, is hooked in; nothing by default."""

    hook: Hook
    formula: FormulaText | None = None
    flow_key: Key | None = None
