"""Several placements in the reference: what fits where, and how the offers are shared out."""

from __future__ import annotations

import copy
import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.core.decisioning.plain_values import Candidate, Thing, is_named
from tests.core.decisioning.reference_explore import policy_of
from tests.core.decisioning.reference_ranking import RankingReference, creative_order, offer_order


class Placed(Candidate):
    """A candidate on its way to a placement; `origin` is the candidate itself."""

    origin: Candidate
    cell: int


Breaking = Callable[[list[Candidate], Candidate], list[Thing]]


def cells_of(nodes: list[Thing], request: Thing, catalogue: dict[str, list[Thing]]) -> list[Thing] | None:
    """The placements of an answer: name, the placements that it means, slots and the draws' name; None for one list."""
    groups = [node for node in nodes if node["type"] == "group"]
    asked: list[Thing] = request.get("placements", [])
    placements = catalogue.get("placements", [])
    if groups:
        wanted = [one["name"] for one in asked] or ([request["placement"]] if request.get("placement") else [])
        cells: list[Thing] = []
        for one in groups[0]["config"]["placements"]:
            mine = [each for each in placements if is_named(each, [one["placementId"]])]
            if mine and (not wanted or any(mine[0] in _meant(placements, name) for name in wanted)):
                cells.append(_cell(placements, mine[0]["id"], one.get("slots")))
        return cells
    return [_cell(placements, one["name"], one.get("slots")) for one in asked] if asked else None


def _meant(placements: list[Thing], name: str) -> list[Thing]:
    named = [one for one in placements if is_named(one, [name])]
    return named or [one for one in placements if one.get("slotType") == name]


def _cell(placements: list[Thing], name: str, slots: int | None) -> Thing:
    meant = _meant(placements, name)
    sole = meant[0] if len(meant) == 1 else None
    most = sole.get("maxSlots", 1) if sole else 1
    return {"meant": meant, "slots": slots or most, "id": sole["id"] if sole else None, "name": name}


def fits(one: Candidate, cell: Thing, is_exact: bool) -> bool:
    if one.creative is None:
        return True
    if one.placement is not None:
        return one.placement in cell["meant"]
    channels = [placement.get("channelId") for placement in cell["meant"]]
    return not is_exact and one.channel is not None and one.channel["id"] in channels


def seed_in(seed: int, cell: Thing) -> int:
    digest = hashlib.sha256(f"placement:{cell['id'] or cell['name']}".encode()).digest()
    return seed ^ int.from_bytes(digest[:8], "big")


def placed(one: Candidate, cell: int) -> Placed:
    copied: Any = copy.copy(one)
    copied.__class__ = Placed
    copied.origin, copied.cell = one, cell
    return copied


class Sharing:
    """Takes ranked candidates for the placements of one answer."""

    def __init__(
        self, cells: list[Thing], rank: Thing, seed: int, breaking: Breaking, is_must: Callable[..., bool]
    ) -> None:
        self.cells, self.rank, self.seed, self.breaking, self.is_must = cells, rank, seed, breaking, is_must
        self.picks: list[Placed] = []
        self.chances: list[float] = []

    def free(self, rows: list[Placed], unique: bool) -> list[Placed]:
        return [one for one in rows if self._is_open(one, unique) and not self.breaking(self.origins, one.origin)]

    @property
    def origins(self) -> list[Candidate]:
        return [pick.origin for pick in self.picks]

    def _is_open(self, one: Placed, unique: bool) -> bool:
        is_left = sum(pick.cell == one.cell for pick in self.picks) < self.cells[one.cell]["slots"]
        is_used = any(pick.offer is one.offer for pick in self.picks) if unique else one in self.picks
        return is_left and not is_used

    def by_rank(self, rows: list[Placed], limit: int, unique: bool, in_turn: bool) -> None:
        while len(self.picks) < limit:
            free = self.free(rows, unique)
            if in_turn:
                free = [one for one in free if one.cell == free[0].cell]
            if not free:
                return
            must = [one for one in free if self.is_must(one.offer)]
            chosen, chance = (must[0], 1.0) if must else self._chosen(free)
            self.picks.append(chosen)
            self.chances.append(chance)

    def _chosen(self, free: list[Placed]) -> tuple[Placed, float]:
        if self.rank.get("method") != "explore":
            return free[0], 1.0
        seeds = {id(one): seed_in(self.seed, self.cells[one.cell]) for one in free}
        chosen, chance = policy_of(self.rank, self.seed, seeds)(list(free), len(self.picks) + 1)
        return next(one for one in free if one is chosen), chance

    def by_total(self, rows: list[Placed], limit: int) -> None:
        """Try every allotment; one that breaks a limit is made anew without what breaks it."""
        left = list(rows)
        while True:
            best = max(self._allotments(left, limit), key=lambda some: self._worth(some, rows))
            self.picks, broken = [], list[Placed]()
            for one in sorted(best, key=rows.index):
                (broken if self.breaking(self.origins, one.origin) else self.picks).append(one)
            if not broken:
                self.chances = [1.0] * len(self.picks)
                return
            left = [one for one in left if one not in broken]

    def _allotments(self, rows: list[Placed], limit: int) -> list[list[Placed]]:
        rows = [one for one in rows if self.is_must(one.offer) or one.score >= 0]
        found: list[list[Placed]] = []
        for count in range(min(limit, len(rows), sum(cell["slots"] for cell in self.cells)) + 1):
            for some in itertools.combinations(rows, count):
                offers = {id(one.offer) for one in some}
                used = [sum(one.cell == at for one in some) for at in range(len(self.cells))]
                if len(offers) == count and all(n <= c["slots"] for n, c in zip(used, self.cells, strict=True)):
                    found.append(list(some))
        return found

    def _worth(self, some: list[Placed], rows: list[Placed]) -> tuple[int, int, list[bool]]:
        musts = sum(self.is_must(one.offer) for one in some)
        return musts, sum(round(one.score * 10**12) for one in some), [one in some for one in rows]


@dataclass(kw_only=True)
class Answer:
    picks: list[Candidate] = field(default_factory=list[Candidate])
    chances: list[float] = field(default_factory=list[float])
    placements: list[str] | None = None
    coupling: list[str] = field(default_factory=list[str])


class PlacingReference(RankingReference):
    def _stage(self, name: str, step: Callable[[], None]) -> None:
        raise NotImplementedError

    def _answer(self, cells: list[Thing] | None) -> Answer:
        answer, ranked = Answer(), list[Candidate]()
        config = self._config("rank")
        rank = partial(self._rank, config) if cells is None else partial(self._rank_for, config, cells)
        self._stage("rank", lambda: ranked.extend(rank()))
        for formula in self._hooked("post_rank"):
            self._stage("post_rank", partial(self._mask, formula))
        if cells is None:
            left = [one for one in ranked if one.why is None]
            self._stage("response", lambda: answer.picks.extend(self._fill(left, answer.chances)))
        else:
            placed_rows = [one for one in ranked if isinstance(one, Placed) and one.origin.why is None]
            self._stage("response", lambda: self._share(placed_rows, cells, answer))
        return answer

    def _rank_for(self, config: Thing, cells: list[Thing]) -> list[Candidate]:
        is_exact = self._config("match_creatives").get("placementMatchMode") == "exact"
        alive, rows = self._alive(), list[list[Candidate]]()
        for at, cell in enumerate(cells):
            mine = sorted([one for one in alive if fits(one, cell, is_exact)], key=creative_order)
            first = {id(one.offer): one for one in reversed(mine)}
            rows.append([placed(one, at) for one in first.values()])
        best = [one.origin for row in rows for one in row if isinstance(one, Placed)]
        for one in alive:
            if not any(fits(one, cell, is_exact) for cell in cells):
                self._drop(one, "placement")
            elif one not in best:
                self._drop(one, "other_creative")
        if not any(node["type"] == "group" for node in self.nodes):
            return [one for row in rows for one in self._in_order(config, sorted(row, key=offer_order))]
        pool = sorted((one for row in rows for one in row), key=_order_in_group)
        return self._in_order(config, pool)

    def _share(self, rows: list[Placed], cells: list[Thing], answer: Answer) -> None:
        group: Thing | None = next((node["config"] for node in self.nodes if node["type"] == "group"), None)
        seed = self.customer.get("seed", 0)
        sharing = Sharing(cells, self._config("rank"), seed, self._breaking, self._is_mandatory)
        is_unique = self.request.get("deduplicate", False) or (group is not None and group.get("uniqueOffer", True))
        if group is not None and group.get("method") == "optimal" and is_unique:
            sharing.by_total(rows, self._limit_of_answer())
        else:
            sharing.by_rank(rows, self._limit_of_answer(), is_unique, group is None)
        taken = sharing.origins
        kept = self._coupled(sharing.picks, cells, answer)
        for one in rows:
            if one.origin in taken:
                continue
            is_used = is_unique and any(pick.offer is one.offer for pick in taken)
            breaking = [] if is_used else self._breaking(taken, one.origin)
            if breaking:
                self._drop(one.origin, breaking[0]["ruleType"], breaking[0] if "id" in breaking[0] else None)
            else:
                self._drop(one.origin, "limit")
        answer.picks = [pick.origin for pick in kept]
        answer.chances = [chance for pick, chance in zip(sharing.picks, sharing.chances, strict=True) if pick in kept]
        answer.placements = [cells[pick.cell]["id"] or cells[pick.cell]["name"] for pick in kept]
        for one in taken:
            if one not in answer.picks:
                self._drop(one, "channel_coupling")

    def _coupled(self, picks: list[Placed], cells: list[Thing], answer: Answer) -> list[Placed]:
        """The picks without those on atomic channels of which a placement stayed empty."""
        kept = picks
        for channel in self._all("channels"):
            mine = [at for at, cell in enumerate(cells) if self._channels_of(cell) == [channel["id"]]]
            filled = [at for at in mine if any(pick.cell == at for pick in picks)]
            mode = self.case.get("coupling") or channel.get("couplingMode")
            if mode == "atomic" and filled and filled != mine:
                answer.coupling.append(channel["id"])
                kept = [pick for pick in kept if pick.cell not in mine]
        return kept

    def _channels_of(self, cell: Thing) -> list[str]:
        known = [one["id"] for one in self._all("channels")]
        return sorted({one.get("channelId") for one in cell["meant"] if one.get("channelId") in known})


def _order_in_group(one: Candidate) -> tuple[Any, ...]:
    assert isinstance(one, Placed)
    return (*offer_order(one), *creative_order(one)[1:], one.cell)
