"""What operators can be held to: each objective once, from which its recording rules, alerts and page are made.

Alerts are multi-window burn rates: Google, The Site Reliability Workbook (2018), chapter 5, "Alerting on SLOs",
section 6, table 5-8.
"""

from __future__ import annotations

import msgspec

PERIOD_DAYS = 30


class BurnRate(msgspec.Struct, frozen=True, kw_only=True):
    """Alert while errors spend the period's budget `factor` times too fast, over a long window and a short one."""

    long: str
    short: str
    factor: float
    severity: str


# 2 % of the budget in an hour, 5 % in six, 10 % in three days; the short window ends the alert soon after the trouble.
BURN_RATES: tuple[BurnRate, ...] = (
    BurnRate(long="1h", short="5m", factor=14.4, severity="page"),
    BurnRate(long="6h", short="30m", factor=6.0, severity="page"),
    BurnRate(long="3d", short="6h", factor=1.0, severity="ticket"),
)
# Of what must never happen nothing may be spent: any error is an alert, for as long as it lies in the window.
ZERO_RATES: tuple[BurnRate, ...] = (
    BurnRate(long="1h", short="1h", factor=0.0, severity="page"),
    BurnRate(long="3d", short="3d", factor=0.0, severity="ticket"),
)
WINDOWS: tuple[str, ...] = tuple(dict.fromkeys(window for rate in BURN_RATES for window in (rate.short, rate.long)))


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """`target` is the share of what is good; `errors` is PromQL for the share that is not, over `{window}`.

    With a target of 1 nothing may be bad, and `errors` counts it.
    """

    key: str
    target: float
    promise: str
    measured: str
    errors: str
    summary: str

    @property
    def budget(self) -> float:
        """The share that may be bad."""
        return round(1 - self.target, 9)

    @property
    def rates(self) -> tuple[BurnRate, ...]:
        """The burn rates that are alerts."""
        return BURN_RATES if self.budget else ZERO_RATES

    @property
    def alert(self) -> str:
        """The name of its alert, which is also its heading in docs/operations/alerts.md."""
        words = "".join(word.capitalize() for word in self.key.split("-"))
        return f"Kaireon{words}Burn" if self.budget else f"Kaireon{words}"


def _share(bad: str, total: str) -> str:
    # A label value that was never seen is no series at all, which is nothing bad.
    return f"(sum(rate({bad}[{{window}}])) or vector(0)) / sum(rate({total}[{{window}}]))"


def _time_above(gauge: str, limit: int) -> str:
    return f"avg_over_time((max({gauge}) > bool {limit})[{{window}}:1m])"


def _rise(stored: str, label: str) -> str:
    # A total that every worker tells and that never falls: it has risen also where it rose while no worker ran.
    most = f"max by ({label}) (max_over_time({stored}[{{window}}]))"
    return f"sum({most} - min by ({label}) (min_over_time({stored}[{{window}}])))"


_DECIDING = 'route=~"/api/v1/(recommend|decide)"'

OBJECTIVES: tuple[Objective, ...] = (
    Objective(
        key="decision-availability",
        target=0.999,
        promise="99.9 % of calls of /recommend and /decide are not answered with a 5xx",
        measured="At the API; what a load balancer answers for it is not counted.",
        errors=_share(
            f'kaireon_http_request_duration_seconds_count{{{_DECIDING},status=~"5.."}}',
            f"kaireon_http_request_duration_seconds_count{{{_DECIDING}}}",
        ),
        summary="Decisions fail: at this rate the error budget of 30 days does not last.",
    ),
    Objective(
        key="decision-latency",
        target=0.99,
        promise="99 % of calls of /recommend are answered within 400 ms",
        measured="At the API, from the first byte of the request to the last byte of its answer.",
        errors=(
            '1 - sum(rate(kaireon_http_request_duration_seconds_bucket{route="/api/v1/recommend",le="0.4"}[{window}]))'
            ' / sum(rate(kaireon_http_request_duration_seconds_count{route="/api/v1/recommend"}[{window}]))'
        ),
        summary="Decisions are slow: at this rate more than one in a hundred takes more than 400 ms over 30 days.",
    ),
    Objective(
        key="model-scores",
        target=0.99,
        promise="99 % of candidates get the score of their model, not a stand-in (the degraded rate)",
        measured="By candidates, over all models; one model that is off has an alert of its own.",
        errors=_share("kaireon_scoring_fallback_total", "kaireon_scoring_candidates_total"),
        summary="Decisions are degraded: stand-ins take the place of models' scores.",
    ),
    Objective(
        key="outbox-lag",
        target=0.995,
        promise="99.5 % of the time no event waits for more than 60 s to reach the event bus",
        measured="By minutes, from the oldest event that waits; minutes without a publisher are not counted.",
        errors=_time_above("kaireon_outbox_lag_seconds", 60),
        summary="Events reach the event bus late.",
    ),
    Objective(
        key="queue-age",
        target=0.99,
        promise="99 % of the time no job that is due waits for more than 300 s for a worker",
        measured="By minutes, from the oldest due job of any queue; minutes without a worker are not counted.",
        errors=_time_above("kaireon_job_queue_age_seconds", 300),
        summary="Jobs wait for workers.",
    ),
    Objective(
        key="cap-violations",
        target=1.0,
        promise="No customer is given an offer beyond a cap of a contact policy",
        measured="By a check of the answers, five to seven minutes later: of all, or the latest if they are too many.",
        errors=_rise("kaireon_cap_violations_total", "ruleType"),
        summary="Customers were given offers more often than a cap allows.",
    ),
)


def recorded(objective: Objective, window: str) -> str:
    """Return the series that holds the share of errors over a window."""
    return f'kaireon:slo_errors:ratio_{window}{{slo="{objective.key}"}}'


def errors(objective: Objective, window: str) -> str:
    """Return the PromQL of the share of errors over a window."""
    return objective.errors.replace("{window}", window)
