"""The line on which scores are compared: panels on which every law is smooth, and the points that have mass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Floats
from kaireon_core.learning.score_laws import Laws
from kaireon_core.learning.score_panels import NODES, UP_TO, WEIGHTS, Panels, panels_between

Indices: TypeAlias = NDArray[np.int64]
_KEPT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreAxis:
    """P panels and Q points from left to right; a function is flat: its P * N values at nodes, then those at points.

    `below` (n, size) is the probability that a law's score is less; `density` (n, P, N) is over t, whose panels are
    twice `halves` (P,) wide; `masses` (n, Q). The two places say where panels and points stand in one line.
    """

    below: Floats
    density: Floats
    masses: Floats
    halves: Floats
    panel_place: Indices
    point_place: Indices

    @property
    def size(self) -> int:
        """How many values a function has."""
        return self.below.shape[1]

    def above(self, function: Floats, law: int) -> tuple[Floats, float]:
        """Return the integral of a function over the scores of a law beyond every node, and over all of them."""
        values, line = self._line(function, law)
        beyond = np.append(np.cumsum(line[::-1])[::-1], 0.0)
        inside = values @ (WEIGHTS - UP_TO).T * self.halves[:, None]
        found = self._flat(beyond[self.panel_place + 1][:, None] + inside, beyond[self.point_place + 1])
        return found, float(beyond[0])

    def up_to(self, function: Floats, law: int) -> Floats:
        """Return the integral of a function over the scores of a law less than every node."""
        values, line = self._line(function, law)
        before = np.insert(np.cumsum(line), 0, 0.0)
        inside = values @ UP_TO.T * self.halves[:, None]
        return self._flat(before[self.panel_place][:, None] + inside, before[self.point_place])

    def _line(self, function: Floats, law: int) -> tuple[Floats, Floats]:
        """Return a function times a law's density, (P, N), and its integrals over panels and points in their line."""
        panels = len(self.halves)
        values = function[: panels * NODES].reshape(panels, NODES) * self.density[law]
        line = np.empty(panels + len(self.point_place))
        line[self.panel_place] = values @ WEIGHTS * self.halves
        line[self.point_place] = function[panels * NODES :] * self.masses[law]
        return values, line

    def _flat(self, at_nodes: Floats, at_points: Floats) -> Floats:
        # Rounding must not make nothing less than nothing.
        return np.maximum(np.concatenate((at_nodes.ravel(), at_points)), 0.0)


def score_axis(laws: Laws, lowest: float = 0.0) -> ScoreAxis:
    """Return the axis of these laws; of what lies below `lowest` only points are kept."""
    columns = laws.columns()
    return _axis(columns.tobytes(), columns.shape[1], lowest)


@lru_cache(maxsize=_KEPT)
def _axis(columns: bytes, count: int, lowest: float) -> ScoreAxis:
    return _build(Laws.from_columns(np.frombuffer(columns).reshape(-1, count)), lowest)


def _build(laws: Laws, lowest: float) -> ScoreAxis:
    masses_of = laws.point_masses()
    points = np.flatnonzero(masses_of > 0)
    points = points[np.lexsort((laws.tie[points], laws.least[points]))]
    panels, panel_place, point_place = list[Panels](), list[Indices](), list[Indices]()
    kinks, place = laws.kinks(), 0
    for number, kink in enumerate(kinks.tolist()):
        here = np.count_nonzero(laws.least[points] == kink)
        point_place.append(np.arange(place, place + here))
        place += here
        right = kinks[number + 1] if number + 1 < len(kinks) else kink
        if right > max(kink, lowest):
            found = panels_between(laws, kink, float(right), lowest)
            panel_place.append(np.arange(place, place + len(found.halves)))
            panels.append(found)
            place += len(found.halves)
    count = len(laws.alpha)
    masses = np.zeros((count, len(points)))
    masses[points, np.arange(len(points))] = masses_of[points]
    below = [one.below.reshape(count, -1) for one in panels]
    return ScoreAxis(
        below=np.concatenate([*below, _below_points(laws, points)], axis=1),
        density=np.concatenate([np.zeros((count, 0, NODES)), *(one.density for one in panels)], axis=1),
        masses=masses,
        halves=np.concatenate([np.zeros(0), *(one.halves for one in panels)]),
        panel_place=np.concatenate([np.zeros(0, np.int64), *panel_place]),
        point_place=np.concatenate([np.zeros(0, np.int64), *point_place]),
    )


def _below_points(laws: Laws, points: Indices) -> Floats:
    """Return the probability that each law's score comes behind each point, (n, Q); of equal scores the tie decides."""
    at, tie = laws.least[points], laws.tie[points]
    least, mine = laws.least[:, None], laws.tie[:, None]
    has_point = (laws.point_masses() > 0)[:, None]
    is_behind = (least < at) | ((least == at) & (~has_point | (mine < tie)))
    return np.where(is_behind, laws.probability_below(at), 0.0)
