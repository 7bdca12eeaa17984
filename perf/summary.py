"""From latencies to the numbers that are printed and stored."""

from __future__ import annotations

import math

import msgspec

from perf.load import Outcome


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Throughput in requests per second, latencies in milliseconds, over all rounds of one server and concurrency."""

    rps: float
    p50: float
    p95: float
    p99: float
    requests: int
    errors: int
    empty: int


class Headline(msgspec.Struct, frozen=True, kw_only=True):
    """One server on the last line: throughput at 16 connections, latencies at one."""

    rps: float
    p50: float
    p95: float
    p99: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The last line. `ratio` is that of throughput at 16 connections, `p50_ratio` that of medians at one."""

    floor: Headline
    recommend: Headline
    ratio: float
    p50_ratio: float


def percentile(ordered: list[int], share: float) -> float:
    """Return the nearest-rank percentile of ordered microseconds, in milliseconds."""
    rank = max(1, math.ceil(share * len(ordered)))
    return ordered[rank - 1] / 1000


def summarise(outcomes: list[Outcome]) -> Figures:
    """Pool the rounds: their requests over their seconds, percentiles of all latencies together."""
    latencies = sorted(latency for outcome in outcomes for latency in outcome.latencies_us)
    assert latencies, "no request was answered 200"
    seconds = sum(outcome.seconds for outcome in outcomes)
    return Figures(
        rps=round(len(latencies) / seconds, 1),
        p50=percentile(latencies, 0.50),
        p95=percentile(latencies, 0.95),
        p99=percentile(latencies, 0.99),
        requests=len(latencies),
        errors=sum(outcome.errors for outcome in outcomes),
        empty=sum(outcome.empty for outcome in outcomes),
    )


def headline(alone: list[Outcome], crowded: list[Outcome]) -> Headline:
    """Take a server at its best round: throughput from the crowded ones, latencies from those with one connection.

    What else runs on a shared machine only ever slows a round down, so the best one has the least of it.
    """
    quietest = min((summarise([outcome]) for outcome in alone), key=lambda figures: figures.p50)
    rps = max(summarise([outcome]).rps for outcome in crowded)
    return Headline(rps=rps, p50=quietest.p50, p95=quietest.p95, p99=quietest.p99)


def verdict(floor: Headline, recommend: Headline) -> Verdict:
    """Compare the two servers; both ratios follow from the line's own numbers."""
    return Verdict(
        floor=floor,
        recommend=recommend,
        ratio=round(recommend.rps / floor.rps, 4),
        p50_ratio=round(recommend.p50 / floor.p50, 3),
    )
