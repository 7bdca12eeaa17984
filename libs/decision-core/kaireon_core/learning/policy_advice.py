"""Which contact policies the past speaks for: those that would have blocked contacts which were answered less.

Every policy considered is a way to split the contacts into those that it would have blocked and the rest. Of the
splits that stand the test the one that explains the answers best (by log-likelihood) is suggested; what it blocks is
taken away, and the rest is looked at again, so that one fatigue is not explained twice.

The test compares each blocked contact with the other contacts of its own customer (Cochran-Mantel-Haenszel, a stratum
per customer), so that customers who are contacted often and would answer less anyway prove nothing. It is held against
0.05/m for m splits considered (Bonferroni), and the rate must fall by a fifth at least.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
from scipy.special import ndtr

from kaireon_core.column import Floats, Mask
from kaireon_core.learning.analysis import Rate, rate_of, two_rates_gain
from kaireon_core.learning.contact_history import ContactHistory, hours_since_contact, months, ordinals, weeks

LEAST_CONTACTS = 200
LEAST_POSITIVES = 20
_LEAST_BLOCKED = 100
# Positive answers that the blocked contacts should have had: below, the test is none.
_LEAST_EXPECTED = 10
_SIGNIFICANCE = 0.05
# A fall that is sure but this small is no reason to contact less.
_LARGEST_RATIO = 0.8
_MOST_CONTACTS = 20
_CURVE_BEYOND = 3
_COOLDOWN_HOURS = (1, 2, 4, 6, 8, 12, 24, 48, 72, 96, 120, 168, 336)
_SUPPRESSION_DAYS = (1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 90)


class Verdict(StrEnum):
    """What there is to say."""

    SUGGESTED = "suggested"
    NO_EFFECT = "no_effect"
    TOO_LITTLE_EVIDENCE = "too_little_evidence"


class CurvePoint(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The answers of the contacts in one band of what the policy limits: `from` up to, not including, `to` (or all)."""

    begin: float = msgspec.field(name="from")
    end: float | None = msgspec.field(name="to")
    rate: Rate


class PolicyEvidence(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Why a policy is suggested: contacts that it would have blocked, those it would not, and how they were answered.

    `sameCustomers` are the others of customers who had blocked ones. `riskRatio` is how much rarer answers were to
    blocked contacts than to others of the same customer; `pValue` stayed below `significance`, which allows for every
    policy that was considered.
    """

    blocked: Rate
    kept: Rate
    same_customers: Rate
    risk_ratio: float
    p_value: float
    significance: float
    log_likelihood_gain: float
    unit: str
    curve: tuple[CurvePoint, ...]


class PolicyAdvice(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One policy in the terms of its kind."""

    rule_type: str
    config: dict[str, Any]
    evidence: PolicyEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dial:
    """One quantity that a kind of policy limits, per contact, and the limits to consider.

    A contact is blocked where its value lies beyond the limit: above it for caps, below it for waiting times.
    """

    rule_type: str
    name: str
    values: Floats
    limits: tuple[int, ...]
    unit: str
    is_cap: bool
    outcome_key: str | None = None

    def blocked(self, limit: int) -> Mask:
        return self.values > limit if self.is_cap else self.values < limit

    def config(self, limit: int) -> dict[str, Any]:
        base = {} if self.outcome_key is None else {"afterOutcome": self.outcome_key}
        return {**base, self.name: limit}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Split:
    dial: _Dial
    limit: int
    blocked: Mask
    gain: float


def has_evidence(history: ContactHistory) -> bool:
    """Return whether there are contacts and answers enough to look at."""
    return len(history) >= LEAST_CONTACTS and int(history.is_positive.sum()) >= LEAST_POSITIVES


def advise_policies(history: ContactHistory) -> list[PolicyAdvice]:
    """Return the policies that the contacts speak for, the one with the strongest evidence first; may be none."""
    advice = list[PolicyAdvice]()
    while has_evidence(history):
        dials = [dial for dial in _dials(history) if not any(_is_like(dial, given) for given in advice)]
        splits = [split for dial in dials for split in _splits(history, dial)]
        significance = _SIGNIFICANCE / max(1, len(splits))
        tested = [(split, _compared(history, split.blocked)) for split in splits]
        proven = [(split, found) for split, found in tested if found.is_fall(significance)]
        if not proven:
            break
        best, found = max(proven, key=lambda one: one[0].gain)
        advice.append(_advice(history, best, found, significance))
        history = history.where(~best.blocked)
    return advice


def _is_like(dial: _Dial, given: PolicyAdvice) -> bool:
    """One cap is enough, and one cooldown; a suppression for each outcome."""
    return dial.rule_type == given.rule_type and given.config.get("afterOutcome") == dial.outcome_key


def _dials(history: ContactHistory) -> Iterator[_Dial]:
    periods = {"maxPerDay": history.days, "maxPerWeek": weeks(history.days), "maxPerMonth": months(history.days)}
    for name, period in periods.items():
        yield _Dial(
            rule_type="frequency_cap",
            name=name,
            values=ordinals(history, period).astype(np.float64),
            limits=tuple(range(1, _MOST_CONTACTS + 1)),
            unit=f"contact of the {name.removeprefix('maxPer').lower()}",
            is_cap=True,
        )
    yield _Dial(
        rule_type="cooldown",
        name="cooldownHours",
        values=hours_since_contact(history),
        limits=_COOLDOWN_HOURS,
        unit="hours since the last contact",
        is_cap=False,
    )
    for key, since in history.since_days.items():
        yield _Dial(
            rule_type="outcome_based",
            name="suppressForDays",
            values=since,
            limits=_SUPPRESSION_DAYS,
            unit=f"days since {key}",
            is_cap=False,
            outcome_key=key,
        )


def _splits(history: ContactHistory, dial: _Dial) -> Iterator[_Split]:
    """Yield the splits of one dial that block enough and keep enough, with what they explain."""
    is_positive = history.is_positive
    count, positives = float(len(history)), float(is_positive.sum())
    for limit in dial.limits:
        blocked = dial.blocked(limit)
        blocked_count = float(np.count_nonzero(blocked))
        if not _LEAST_BLOCKED <= blocked_count <= count - _LEAST_BLOCKED:
            continue
        blocked_positives = float(np.count_nonzero(blocked & is_positive))
        gain = two_rates_gain(np.array([blocked_positives]), np.array([blocked_count]), positives, count)
        yield _Split(dial=dial, limit=limit, blocked=blocked, gain=float(gain[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    """Blocked contacts beside the others of the same customers."""

    risk_ratio: float
    p_value: float
    expected: float

    def is_fall(self, significance: float) -> bool:
        """Return whether the blocked ones were surely, and not just slightly, answered less."""
        is_sure = self.expected >= _LEAST_EXPECTED and self.p_value < significance
        return is_sure and self.risk_ratio <= _LARGEST_RATIO


def _compared(history: ContactHistory, blocked: Mask) -> _Comparison:
    """Return the test of Cochran, Mantel and Haenszel over one 2x2 table per customer, two-sided, and their risk ratio.

    Mantel and Haenszel, J. Natl. Cancer Inst. 22 (1959), 719; risk ratio: Nurminen, Biometrika 68 (1981), 525.
    """
    size = int(history.customers.max()) + 1
    n1, n0 = (np.bincount(history.customers, weights=mask, minlength=size) for mask in (blocked, ~blocked))
    a, c = (
        np.bincount(history.customers, weights=mask & history.is_positive, minlength=size)
        for mask in (blocked, ~blocked)
    )
    both = (n1 > 0) & (n0 > 0)
    n1, n0, a, c = n1[both], n0[both], a[both], c[both]
    n, m1 = n1 + n0, a + c
    expected = float((m1 * n1 / n).sum())
    variance = float((n1 * n0 * m1 * (n - m1) / (n * n * np.maximum(n - 1, 1))).sum())
    others = float((c * n1 / n).sum())
    if variance == 0 or others == 0:
        return _Comparison(risk_ratio=1.0, p_value=1.0, expected=expected)
    z = (float(a.sum()) - expected) / variance**0.5
    return _Comparison(
        risk_ratio=float((a * n0 / n).sum()) / others, p_value=2 * float(ndtr(-abs(z))), expected=expected
    )


def _same_customers(history: ContactHistory, blocked: Mask) -> Mask:
    """Return the contacts that are not blocked, of customers who have blocked ones."""
    return ~blocked & np.isin(history.customers, history.customers[blocked])


def _rate(history: ContactHistory, mask: Mask) -> Rate:
    return rate_of(int(np.count_nonzero(mask & history.is_positive)), int(np.count_nonzero(mask)))


def _advice(history: ContactHistory, split: _Split, found: _Comparison, significance: float) -> PolicyAdvice:
    blocked, dial = split.blocked, split.dial
    return PolicyAdvice(
        rule_type=dial.rule_type,
        config=dial.config(split.limit),
        evidence=PolicyEvidence(
            blocked=_rate(history, blocked),
            kept=_rate(history, ~blocked),
            same_customers=_rate(history, _same_customers(history, blocked)),
            risk_ratio=found.risk_ratio,
            p_value=found.p_value,
            significance=significance,
            log_likelihood_gain=split.gain,
            unit=dial.unit,
            curve=tuple(_curve(history, dial, split.limit)),
        ),
    )


def _curve(history: ContactHistory, dial: _Dial, limit: int) -> Iterator[CurvePoint]:
    """Yield the rates over the bands of the dial: each contact up to a few beyond a cap, or the times considered."""
    edges = range(1, limit + _CURVE_BEYOND + 2) if dial.is_cap else (0, *dial.limits)
    for begin, end in zip(edges, (*edges[1:], None), strict=True):
        in_band = (dial.values >= begin) & (dial.values < (np.inf if end is None else end))
        rate = _rate(history, in_band)
        if rate.count:
            yield CurvePoint(begin=float(begin), end=None if end is None else float(end), rate=rate)
