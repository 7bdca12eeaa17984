"""Who was admissible at each rank of an answer, and the probability that it comes out so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from kaireon_core.column import Floats, Mask
from kaireon_core.decisioning.flow import RankConfig
from kaireon_core.learning.contest import Contest

# Where a limit binds and what counts, over the ranked rows, and what is left of it.
Limit: TypeAlias = tuple[Mask, Mask, int]


class AnswerOrder(Protocol):
    """An answer as the rows, numbered as they are ranked, that were picked."""

    @property
    def picks(self) -> Sequence[int]:
        """The rows in rank order."""
        ...

    @property
    def is_by_score(self) -> bool:
        """Whether every pick was the best of all that are left, so that low scores do not matter."""
        ...

    def joint(self, contest: Contest) -> Floats:
        """Return the probability of every beginning of the answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _ByScore:
    """Each pick is the best of those who were `admissible` at its rank: fewer from rank to rank."""

    picks: Sequence[int]
    admissible: Sequence[frozenset[int]]
    is_by_score: bool

    def joint(self, contest: Contest) -> Floats:
        """Return the probability of every beginning."""
        return np.array([total for total, _ in _chain(contest, self.picks, self.admissible)])


def _chain(contest: Contest, picks: Sequence[int], admissible: Sequence[frozenset[int]]) -> list[tuple[float, Floats]]:
    """Return for every beginning its probability, and U: that those who are bounded by it come out so, all above x."""
    found, placed = list[tuple[float, Floats]](), contest.everything()
    for place, pick in enumerate(picks):
        others = admissible[place] - {pick}
        _, total = contest.above(placed * contest.all_below(sorted(others)), pick)
        later = admissible[place + 1] if place + 1 < len(picks) else frozenset[int]()
        placed, _ = contest.above(placed * contest.all_below(sorted(others - later)), pick)
        found.append((total, placed))
    return found


def ranked_order(rows: int, picks: Sequence[int], limits: Sequence[Limit]) -> AnswerOrder:
    """Return the order of a ranking by score alone: who is kept out by a limit leaves."""
    admissible, left = list[frozenset[int]](), [remaining for _, _, remaining in limits]
    free = np.ones(rows, np.bool_)
    for pick in picks:
        for (binding, _, _), remaining in zip(limits, left, strict=True):
            if remaining <= 0:
                free &= ~binding
        admissible.append(frozenset(np.flatnonzero(free).tolist()))
        free[pick] = False
        left = [remaining - int(counting[pick]) for (_, counting, _), remaining in zip(limits, left, strict=True)]
    is_open = all(remaining > 0 for remaining in left)
    return _ByScore(picks=picks, admissible=admissible, is_by_score=is_open)


def arranged_order(config: RankConfig, categories: Sequence[int], picks: Sequence[int]) -> AnswerOrder:
    """Return the order of a ranking by categories, whose picks no limit keeps out."""
    most = config.max_per_category or 1 if config.method == "diversity" else 1
    admissible, taken = list[frozenset[int]](), dict[int, int]()
    for pick in picks:
        open_ = frozenset(row for row, one in enumerate(categories) if taken.get(one, 0) < most)
        open_ -= frozenset(picks[: len(admissible)])
        if not open_:
            break
        admissible.append(open_)
        taken[categories[pick]] = taken.get(categories[pick], 0) + 1
    form = _Diverse if config.method == "diversity" else _InTurn
    return form(categories=categories, picks=picks, admissible=admissible, most=most)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arranged:
    """At first each pick is the best of those `admissible`: the categories that had not had their share yet."""

    categories: Sequence[int]
    picks: Sequence[int]
    admissible: Sequence[frozenset[int]]
    most: int
    is_by_score: bool = False

    def joint(self, contest: Contest) -> Floats:
        """Return the probability of every beginning."""
        first = list(self.picks[: len(self.admissible)])
        chances = [total for total, _ in _chain(contest, first, self.admissible)]
        later = self.picks[len(first) :]
        chances += [self._later(contest, first, list(later[: count + 1])) for count in range(len(later))]
        return np.array(chances)

    def _later(self, contest: Contest, first: list[int], later: list[int]) -> float:
        raise NotImplementedError

    def _behind(self, first: Sequence[int], taken: Sequence[int]) -> list[list[int]]:
        """Return for each of the first picks whom it is known to be ahead of: its category's, once that is full."""
        mine = [self.categories[pick] for pick in first]
        return [
            [
                row
                for row, one in enumerate(self.categories)
                if one == category and row not in first and row not in taken
            ]
            if mine[: place + 1].count(category) == self.most
            else []
            for place, category in enumerate(mine)
        ]


class _Diverse(_Arranged):
    """Behind the first picks all others follow by score."""

    def _later(self, contest: Contest, first: list[int], later: list[int]) -> float:
        full = {self.categories[pick]: place + 1 for place, pick in enumerate(first)}
        gates = [full[self.categories[pick]] for pick in later]
        below = [contest.all_below(rows) if rows else None for rows in self._behind(first, later)]
        return contest.order(first, later, gates, below)


class _InTurn(_Arranged):
    """Behind the first picks the next best of each category follow, in the order of the first."""

    def _later(self, contest: Contest, first: list[int], later: list[int]) -> float:
        below = list[Floats | None]()
        for pick, rest in zip(first, self._behind(first, later), strict=True):
            known = contest.all_below(rest)
            mine = [row for row in later if self.categories[row] == self.categories[pick]]
            for row in reversed(mine):
                known = contest.under(known, row)
            below.append(known)
        return contest.order(first, below=below)
