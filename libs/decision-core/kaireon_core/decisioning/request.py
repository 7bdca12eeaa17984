"""What a decision is asked for."""

from __future__ import annotations

import msgspec


class PlacementAsk(msgspec.Struct, frozen=True, kw_only=True):
    """One of several placements: a key, an id or a slot type, and how many offers; None: what the placement holds."""

    name: str
    slots: int | None = None


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """Where the answer will be shown: a channel by type or id, placements by key or slot type; all optional."""

    channel: str | None = None
    channel_id: str | None = None
    placement: str | None = None
    placements: tuple[PlacementAsk, ...] = ()

    @property
    def placement_names(self) -> tuple[str, ...]:
        """The placements that are asked for."""
        return tuple(one.name for one in self.placements) or ((self.placement,) if self.placement is not None else ())

    @property
    def names_channel(self) -> bool:
        """Whether a channel is asked for."""
        return self.channel is not None or self.channel_id is not None


class DecisionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a request that is the same for every customer decided with it.

    `now_ms` is the instant of the decision in milliseconds since the epoch; `limit` is how many offers may be returned.
    """

    now_ms: int
    limit: int = 5
    routing: Routing = Routing()
    excluded_offers: frozenset[str] = frozenset()
    excluded_creatives: frozenset[str] = frozenset()
    # With several placements: each offer in one of them only.
    deduplicate: bool = False
