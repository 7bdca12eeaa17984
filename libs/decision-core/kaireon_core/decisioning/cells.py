"""Where the offers of one answer go: the placements that a request or a group node names, each with its slots.

A candidate fits a placement if its creative is for it, or for none on its channel (unless the match node is `exact`);
an offer without creative fits everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kaireon_core.catalog.document import Document
from kaireon_core.column import Mask
from kaireon_core.decisioning.candidates import Candidates, index_by_id
from kaireon_core.decisioning.draws import name_hash
from kaireon_core.decisioning.flow import Group, MatchCreatives
from kaireon_core.decisioning.request import DecisionRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One placement of an answer; `fits` (C,). `placement` is None where a slot type names several, or nothing."""

    name: str
    placement: Document | None
    channel: int
    slots: int
    fits: Mask
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The placements of an answer, in order. `in_turn`: filled one after another, else by whatever ranks higher."""

    cells: tuple[Cell, ...]
    in_turn: bool
    is_optimal: bool
    is_unique: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """What a flow says about placements; `atomic` (channels,) are the channels that are filled wholly or not at all."""

    candidates: Candidates
    group: Group | None
    takes_wildcards: bool
    atomic: Mask
    coupled: int

    def cells(self, request: DecisionRequest) -> Cells | None:
        """Return the placements of an answer, None where it is one list."""
        if self.group is not None:
            config = self.group.config
            return Cells(
                cells=tuple(self._of_group(request)),
                in_turn=False,
                is_optimal=config.method == "optimal",
                is_unique=config.unique_offer or request.deduplicate,
            )
        if not request.routing.placements:
            return None
        asked = [self._cell(one.name, one.slots) for one in request.routing.placements]
        return Cells(cells=tuple(asked), in_turn=True, is_optimal=False, is_unique=request.deduplicate)

    def _of_group(self, request: DecisionRequest) -> Iterator[Cell]:
        """Yield the group's placements that the request names, all where it names none."""
        placements, wanted = self.candidates.catalogue.placements, request.routing.placement_names
        named = [any(matching(placements, name)[place] for name in wanted) for place in range(len(placements))]
        assert self.group is not None  # noqa: S101 - asked for groups only
        for one in self.group.config.placements:
            found = [place for place, each in enumerate(placements) if one.placement_id in (each.id, each.key)]
            if found and (not wanted or named[found[0]]):
                yield self._cell(placements[found[0]].id, one.slots)

    def _cell(self, name: str, slots: int | None) -> Cell:
        catalogue, table = self.candidates.catalogue, self.candidates
        is_meant = np.array([*matching(catalogue.placements, name), False], np.bool_)
        meant = [each for each, is_one in zip(catalogue.placements, is_meant.tolist(), strict=False) if is_one]
        places = index_by_id(catalogue.channels)
        channels = {places.get(str(each.body.get("channelId")), -1) for each in meant} - {-1}
        fits = is_meant[table.placement] | (table.creative < 0)
        if self.takes_wildcards:
            fits |= (table.placement < 0) & np.isin(table.channel, list(channels))
        placement = meant[0] if len(meant) == 1 else None
        most = placement.body.get("maxSlots") if placement else None
        return Cell(
            name=name,
            placement=placement,
            channel=channels.pop() if len(channels) == 1 else -1,
            slots=slots or int(most or 1),
            fits=fits,
            seed=name_hash(f"placement:{placement.id if placement else name}"),
        )


def matching(placements: Sequence[Document], wanted: str) -> list[bool]:
    """Return which placements a name means: one by id or key, else all of a slot type."""
    by_key = [wanted in (placement.key, placement.id) for placement in placements]
    return by_key if any(by_key) else [placement.body.get("slotType") == wanted for placement in placements]


def compile_placing(
    group: Group | None, match: MatchCreatives | None, candidates: Candidates, coupling: str | None, coupled: int
) -> Placing:
    """Return what a flow says about placements; `coupling` beats that of the channels, `coupled` is its reason."""
    modes = [coupling or one.body.get("couplingMode") for one in candidates.catalogue.channels]
    return Placing(
        candidates=candidates,
        group=group,
        takes_wildcards=match is None or match.config.placement_match_mode != "exact",
        atomic=np.array([mode == "atomic" for mode in modes], np.bool_),
        coupled=coupled,
    )
