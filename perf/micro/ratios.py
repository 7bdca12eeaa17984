"""The ratios, each with its budget: two or more works are timed in turn, and only their quotient is judged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from kaireon_core.decisioning.reasons import KEPT
from perf.micro import world, zen
from perf.micro.kaireon import Shop
from perf.micro.model_ratios import model_works
from perf.micro.timing import race


class Size(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How much is measured: the candidates of an ordinary and of a large shop, the customers of a list, the rounds."""

    candidates: Annotated[int, Meta(ge=20)] = 100
    many_candidates: int = 10_000
    customers: int = 1000
    rounds: int = 200
    seconds: float = 0.005


class Ratio(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One quotient. `most` or `least` is its budget (none for one that only informs), `decisions_per_second` its sides.

    `microseconds` are per call of each side; `of` says what was divided by what.
    """

    name: str
    of: str
    ratio: float
    most: float | None = None
    least: float | None = None
    decisions_per_second: dict[str, float]
    microseconds: dict[str, float]

    @property
    def is_kept(self) -> bool:
        """Whether the budget is kept."""
        return (self.most is None or self.ratio <= self.most) and (self.least is None or self.ratio >= self.least)


def measure(size: Size) -> Iterator[Ratio]:
    """Yield every ratio, in the order of the documentation."""
    yield _narrowing(size)
    yield from _beside_zen(size)
    yield _many_candidates(size)
    yield from _many_customers(size)
    yield from _explaining(size)
    yield from _models(size)


def _narrowing(size: Size) -> Ratio:
    shop = Shop.of(1, size.candidates)
    left, right = (np.arange(size.candidates)[None, :] % step > 0 for step in (2, 3))
    both = 200
    times = race(
        {"narrowing": shop.narrow, "bitwiseAnd": lambda: [np.bitwise_and(left, right) for _ in range(both)]},
        rounds=size.rounds,
        seconds=size.seconds,
    )
    catalogue = shop.live.compiled.candidates.catalogue
    per_rule = times["narrowing"] / (len(catalogue.qualification_rules) + len(catalogue.contact_policies))
    one_and = times["bitwiseAnd"] / both
    return Ratio(
        name="narrowing",
        of="one rule or policy, all narrowing stages together / one numpy.bitwise_and on its columns",
        ratio=per_rule / one_and,
        most=30,
        decisions_per_second={"narrowing": 1 / times["narrowing"]},
        microseconds={"narrowing": times["narrowing"] * 1e6, "perRule": per_rule * 1e6, "bitwiseAnd": one_and * 1e6},
    )


def _beside_zen(size: Size) -> Iterator[Ratio]:
    shop = Shop.of(1, size.candidates, with_policies=False)
    (customer,) = world.customers(1, size.candidates)
    table, expression = zen.Table(size.candidates, customer), zen.Expression(size.candidates, customer)
    expected = shop.failed_rules()
    assert table.failed_rules() == expression.failed_rules() == expected
    assert 0 < sum(map(bool, expected)) < size.candidates, "rules that drop nothing or everything compare nothing"
    works = {
        "decide": shop.decide,
        "narrowing": shop.narrow,
        "zenTable": table.failed_rules,
        "zenExpression": expression.failed_rules,
    }
    times = race(works, rounds=size.rounds, seconds=size.seconds)
    yield _quotient("zen", times, "zenTable", "decide", of="zen-engine's decision table / a whole decide", least=5)
    yield _quotient(
        "zen-expression",
        times,
        "zenExpression",
        "narrowing",
        of="all rules in one hand-written zen expression / the narrowing stages",
    )


def _many_candidates(size: Size) -> Ratio:
    shops = {"few": Shop.of(1, size.candidates), "many": Shop.of(1, size.many_candidates)}
    times = race({name: shop.decide for name, shop in shops.items()}, rounds=size.rounds, seconds=size.seconds)
    of = f"decide at {size.many_candidates} candidates / at {size.candidates}"
    return _quotient("candidates", times, "many", "few", of=of, most=8)


def _many_customers(size: Size) -> Iterator[Ratio]:
    one, many = (Shop.of(count, size.candidates) for count in (1, size.customers))
    _assert_same(one, many)
    for name, what, works in (
        ("customers", "decide", {"one": one.decide, "many": many.decide}),
        ("customers-recorded", "decide, records and trace", {"one": one.record, "many": many.record}),
    ):
        times = race(works, rounds=size.rounds, seconds=size.seconds)
        times["many"] /= size.customers
        of = f"{what}: a customer alone / one of {size.customers}"
        yield _quotient(name, times, "one", "many", of=of, least=8)


def _assert_same(one: Shop, many: Shop) -> None:
    alone, together = one.decide(), many.decide()
    assert alone.reasons[0].tobytes() == together.reasons[0].tobytes()
    assert alone.picks[0].tolist() == together.picks[0].tolist()
    assert np.count_nonzero(together.reasons == KEPT) == sum(map(len, together.picks))


def _explaining(size: Size) -> Iterator[Ratio]:
    """What it adds to a decision to keep all of it; the reason columns are part of deciding itself."""
    for name, count in (("explaining", 1), ("explaining-customers", size.customers)):
        traced = Shop.of(count, size.candidates)
        works = {"traced": traced.record, "untraced": traced.untraced().record}
        times = race(works, rounds=size.rounds, seconds=size.seconds)
        of = f"decide, records and trace / without the trace, for {count} at once"
        yield _quotient(name, {side: time / count for side, time in times.items()}, "traced", "untraced", of=of)


def _models(size: Size) -> Iterator[Ratio]:
    for name, of, most, works in model_works(size.candidates):
        times = race(works, rounds=size.rounds, seconds=size.seconds)
        yield _quotient(name, times, "model", "bare", of=of, most=most)


def _quotient(
    name: str,
    times: dict[str, float],
    upper: str,
    lower: str,
    *,
    of: str,
    most: float | None = None,
    least: float | None = None,
) -> Ratio:
    return Ratio(
        name=name,
        of=of,
        ratio=times[upper] / times[lower],
        most=most,
        least=least,
        decisions_per_second={side: 1 / time for side, time in times.items()},
        microseconds={side: time * 1e6 for side, time in times.items()},
    )
