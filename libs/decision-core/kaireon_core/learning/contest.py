"""Who comes out ahead of whom, when each of several independent scores is drawn from a law of its own.

A contestant's score is K * max(x, floor)^w with x ~ Beta(alpha, beta), or certain. The probability of an order is a
chain of integrals over the score of one contestant after the other, the highest first:

    U(x) = P(those placed so far come out in this order, and all above x);  placing v next: U'(x) = integral of U over
    the scores y > x of v, times the probabilities that those who are known to be below v are below y

(David and Nagaraja, Order Statistics, 3rd ed. 2003, section 5.2: independent, not identically distributed variables.)
Functions of the score are their values at the nodes of a `ScoreAxis`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kaireon_core.column import Floats
from kaireon_core.learning.score_axis import ScoreAxis


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Contestants on their axis; `kind` (n,) is which of the axis's laws each one's score is drawn from.

    `kind` is unique among contestants whose score can be one and the same number: these are ordered by their place.
    """

    axis: ScoreAxis
    kind: Sequence[int]

    def everything(self) -> Floats:
        """Return the function that is 1 everywhere."""
        return np.ones(self.axis.size)

    def all_below(self, contestants: Sequence[int]) -> Floats:
        """Return the probability that all of these score less, at every node."""
        kinds, counts = np.unique([self.kind[one] for one in contestants], return_counts=True)
        if not len(kinds):
            return self.everything()
        below = self.axis.below[kinds]
        return np.prod(below ** counts[:, None], axis=0)

    def above(self, function: Floats, contestant: int) -> tuple[Floats, float]:
        """Return the integral of a function over this one's score from every node on, and over all scores."""
        return self.axis.above(function, self.kind[contestant])

    def under(self, function: Floats, contestant: int) -> Floats:
        """Return the integral of a function over this one's score less than every node."""
        return self.axis.up_to(function, self.kind[contestant])

    def order(
        self,
        first: Sequence[int],
        second: Sequence[int] = (),
        gates: Sequence[int] = (),
        below: Sequence[Floats | None] = (),
    ) -> float:
        """Return the probability that both lists come out in their order, highest first, one among the other.

        `second[j]` is known to be below `first[gates[j] - 1]`. `below[i]` is the probability that those who are known
        to be below `first[i]` (and below all of `second`) are, at every node; None where there are none.
        """
        last = len(second)
        row = [self._placed(first, below if last == 0 else ())]
        for contestant, gate in zip(second, gates, strict=True):
            is_last = len(row) == last
            row.append(self._beside(first, below, row[-1], contestant, gate, is_last=is_last))
        total = row[-1][len(first)]
        return 0.0 if total is None else float(total[1])

    def _placed(self, first: Sequence[int], below: Sequence[Floats | None]) -> list[tuple[Floats, float] | None]:
        placed: list[tuple[Floats, float] | None] = [(self.everything(), 1.0)]
        for place, contestant in enumerate(first):
            before = placed[-1]
            assert before is not None  # noqa: S101 - the first list alone can always be placed
            placed.append(self.above(_times(before[0], below, place), contestant))
        return placed

    def _beside(
        self,
        first: Sequence[int],
        below: Sequence[Floats | None],
        before: list[tuple[Floats, float] | None],
        contestant: int,
        gate: int,
        *,
        is_last: bool,
    ) -> list[tuple[Floats, float] | None]:
        """Return U for every number of the first list placed, with one more of the second list placed too."""
        placed = list[tuple[Floats, float] | None]()
        known = self.everything()
        for count in range(len(first) + 1):
            if is_last and count > 0:
                known = _times(known, below, count - 1)
            parts = list[tuple[Floats, float]]()
            reached = before[count]
            if count >= gate and reached is not None:
                parts.append(self.above(reached[0] * known if is_last else reached[0], contestant))
            earlier = placed[-1] if placed else None
            if earlier is not None:
                function = _times(earlier[0], below, count - 1) if is_last else earlier[0]
                parts.append(self.above(function, first[count - 1]))
            found = None
            if parts:
                found = sum((values for values, _ in parts[1:]), parts[0][0]), sum(total for _, total in parts)
            placed.append(found)
        return placed


def _times(function: Floats, below: Sequence[Floats | None], place: int) -> Floats:
    factor = below[place] if place < len(below) else None
    return function if factor is None else function * factor
