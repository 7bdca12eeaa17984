"""The match node: which creatives of the surviving offers fit the request's channel and placement."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kaireon_core.column import Mask, any_in
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.cells import matching
from kaireon_core.decisioning.flow import MatchCreatives
from kaireon_core.decisioning.reasons import LegendBuilder
from kaireon_core.decisioning.request import Routing
from kaireon_core.decisioning.state import Stage, State

# Distinct (channel, placement) requests whose masks are kept; more than this many are computed each time.
_REMEMBERED_ROUTINGS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class _Codes:
    no_creative: int
    inactive: int
    excluded: int
    channel: int
    placement: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Matcher:
    """The masks of one match node, remembered per routing."""

    node: MatchCreatives
    candidates: Candidates
    inactive: Mask
    is_first: Mask
    _remembered: dict[Routing, tuple[Mask, Mask]] = field(default_factory=dict[Routing, tuple[Mask, Mask]])

    def wrong(self, routing: Routing) -> tuple[Mask, Mask]:
        """Return where the channel and where the placement is wrong, each (C,)."""
        found = self._remembered.get(routing)
        if found is None:
            found = (~fits_channel(self.candidates, routing), ~self._fits_placement(routing))
            if len(self._remembered) < _REMEMBERED_ROUTINGS:
                self._remembered[routing] = found
        return found

    def _fits_placement(self, routing: Routing) -> Mask:
        mode, wanted = self.node.config.placement_match_mode, routing.placement_names
        if mode == "none" or not wanted:
            return np.ones(len(self.candidates), np.bool_)
        placements = self.candidates.catalogue.placements
        fits = map(any, zip(*(matching(placements, name) for name in wanted), strict=True))
        return np.array([*fits, mode == "any"], np.bool_)[self.candidates.placement]

    def bare(self, matching: Mask) -> Mask:
        """Return which candidates stand for their offer alone: the first of each offer without a match, (C,)."""
        offer = self.candidates.offer
        has_match = np.zeros(len(self.candidates.catalogue.offers), np.bool_)
        has_match[offer[matching]] = True
        return self.is_first & ~has_match[offer]


def fits_channel(candidates: Candidates, routing: Routing) -> Mask:
    """Return the candidates whose channel is the requested one, (C,); all where none is requested."""
    fits = [
        (routing.channel is None or channel.body.get("channelType") == routing.channel)
        and (routing.channel_id is None or routing.channel_id in (channel.id, channel.key))
        for channel in candidates.catalogue.channels
    ]
    return np.array([*fits, not routing.names_channel], np.bool_)[candidates.channel]


def compile_match_creatives(node: MatchCreatives, candidates: Candidates, legend: LegendBuilder) -> Stage:
    """Return the stage; creative and channel must be active, an unknown channel or placement matches nothing."""
    codes = _Codes(
        no_creative=legend.add("no_creative", "the offer has no creative"),
        inactive=legend.add("inactive", "the creative or its channel is not active"),
        excluded=legend.add("excluded", "the request excludes this creative"),
        channel=legend.add("channel", "the creative is not for the requested channel"),
        placement=legend.add("placement", "the creative is not for the requested placement"),
    )
    matcher = _Matcher(
        node=node, candidates=candidates, inactive=_inactive(candidates), is_first=_first_of_offer(candidates)
    )
    without_creative = candidates.creative < 0

    def apply(state: State) -> None:
        excluded = _excluded(state)
        wrong_channel, wrong_placement = matcher.wrong(state.request.routing)
        kept = np.zeros(1, np.bool_)
        if not node.config.require_creative:
            kept = matcher.bare(~(matcher.inactive | excluded | wrong_channel | wrong_placement))
            if any_in(kept):
                state.keep_bare(kept)
        for wrong, code in (
            (without_creative, codes.no_creative),
            (matcher.inactive, codes.inactive),
            (excluded, codes.excluded),
            (wrong_channel, codes.channel),
            (wrong_placement, codes.placement),
        ):
            if any_in(wrong):
                state.drop(wrong & ~kept, code)

    return Stage(name="match_creatives", apply=apply)


def _inactive(candidates: Candidates) -> Mask:
    catalogue = candidates.catalogue
    creatives = np.array([*(c.status == "active" for c in catalogue.creatives), False], np.bool_)
    channels = np.array([*(c.status == "active" for c in catalogue.channels), False], np.bool_)
    return ~(creatives[candidates.creative] & channels[candidates.channel])


def _first_of_offer(candidates: Candidates) -> Mask:
    is_first = np.zeros(len(candidates), np.bool_)
    is_first[np.unique(candidates.offer, return_index=True)[1]] = True
    return is_first


def _excluded(state: State) -> Mask:
    """Return the candidates whose creative the request excludes, by id or key: (C,), or (1,) when it names none."""
    names = state.request.excluded_creatives
    if not names:
        return np.zeros(1, np.bool_)
    creatives = state.candidates.catalogue.creatives
    excluded = [not names.isdisjoint((creative.id, creative.key)) for creative in creatives]
    return np.array([*excluded, False], np.bool_)[state.candidates.creative]
