"""What a campaign asks of its runs beside the decisions themselves: channels, and how much may be recommended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from kaireon_application.catalog.fields import PositiveCount

if TYPE_CHECKING:
    from kaireon_application.decisioning.changes import DecisionChange, RecommendedItems
    from kaireon_application.decisioning.snapshot import TenantSnapshot
    from kaireon_application.decisioning.wire import RecommendRequest


class ResultsFormat(StrEnum):
    """How results are downloaded."""

    NDJSON = "ndjson"
    PARQUET = "parquet"


class FrequencyCaps(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How much one run may recommend: in all, of each offer, on each channel; null: as much as there is."""

    max_total_per_run: PositiveCount | None = None
    max_per_offer: PositiveCount | None = None
    max_per_channel: PositiveCount | None = None

    @property
    def are_any(self) -> bool:
        """Whether one of them is set."""
        return any(cap is not None for cap in msgspec.structs.astuple(self))


class RunTerms(Struct, frozen=True, kw_only=True, rename="camel"):
    """What holds for a whole run; no channels: all of them."""

    channel_ids: list[str] = []
    frequency_caps: FrequencyCaps = FrequencyCaps()
    # How its results are downloaded unless the caller says otherwise.
    format: ResultsFormat = ResultsFormat.NDJSON


class RunQuota:
    """What is left of a run's caps. One group is decided at a time where there are any."""

    def __init__(self, terms: RunTerms, offers: Counter[str], channels: Counter[str], total: int) -> None:
        """Take what the run has recommended so far."""
        self._terms, self._caps = terms, terms.frequency_caps
        self._offers, self._channels, self._total = offers, channels, total

    @property
    def is_bounded(self) -> bool:
        """Whether there are caps."""
        return self._caps.are_any

    def narrowed(self, request: RecommendRequest, snapshot: TenantSnapshot, *, is_last_try: bool) -> RecommendRequest:
        """Return the request without what may not be recommended any more.

        `is_last_try` asks for one item, which always fits.
        """
        if not (self.is_bounded or self._terms.channel_ids):
            return request
        catalogue = snapshot.configuration.catalogue
        left = None if self._caps.max_total_per_run is None else self._caps.max_total_per_run - self._total
        barred = [one for one in catalogue.creatives if not self._may_use(str(one.body["channelId"]))]
        # An offer whose every creative is barred would be recommended without one.
        bare = {one.body["offerId"] for one in barred}
        bare -= {one.body["offerId"] for one in catalogue.creatives if self._may_use(str(one.body["channelId"]))}
        offers = [one.id for one in catalogue.offers if left == 0 or one.id in bare or self._is_full(one.id)]
        return msgspec.structs.replace(
            request,
            exclude_offers=offers,
            exclude_creatives=[one.id for one in barred],
            limit=1 if is_last_try else max(1, min(request.limit, left or request.limit)),
        )

    def fitting(self, changes: Sequence[DecisionChange]) -> int:
        """Return how many of these, from the first on, may be committed together."""
        if not self.is_bounded:
            return len(changes)
        offers, channels, total = self._offers.copy(), self._channels.copy(), self._total
        for count, change in enumerate(changes):
            total = _add(change.recommended, offers, channels, total)
            if not self._holds(change.recommended, offers, channels, total):
                return count
        return len(changes)

    def take(self, change: DecisionChange) -> None:
        """Count what was committed, where there are caps."""
        if self.is_bounded:
            self._total = _add(change.recommended, self._offers, self._channels, self._total)

    def _holds(self, made: RecommendedItems, offers: Counter[str], channels: Counter[str], total: int) -> bool:
        caps = self._caps
        return (
            (caps.max_total_per_run is None or total <= caps.max_total_per_run)
            and (caps.max_per_offer is None or all(offers[id_] <= caps.max_per_offer for id_ in made.offer_ids))
            and (
                caps.max_per_channel is None
                or all(channels[id_] <= caps.max_per_channel for id_ in made.channel_ids if id_ is not None)
            )
        )

    def _is_full(self, offer_id: str) -> bool:
        return self._caps.max_per_offer is not None and self._offers[offer_id] >= self._caps.max_per_offer

    def _may_use(self, channel_id: str) -> bool:
        most = self._caps.max_per_channel
        is_asked = not self._terms.channel_ids or channel_id in self._terms.channel_ids
        return is_asked and (most is None or self._channels[channel_id] < most)


def _add(made: RecommendedItems, offers: Counter[str], channels: Counter[str], total: int) -> int:
    offers.update(made.offer_ids)
    channels.update(id_ for id_ in made.channel_ids if id_ is not None)
    return total + len(made.offer_ids)
