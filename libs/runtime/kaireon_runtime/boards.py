"""What Grafana's dashboards show: which metrics stand on which board, and the panels that are about several."""

from __future__ import annotations

import msgspec

from kaireon_runtime import catalogue
from kaireon_runtime.catalogue import CATALOGUE
from kaireon_runtime.metric import Kind, Metric
from kaireon_runtime.objectives import OBJECTIVES, Objective, recorded

# Grafana's names for the catalogue's units.
_UNITS = {"seconds": "s", "ms": "ms", "1": "short"}
_RANGE = "[$__rate_interval]"
_QUANTILES = (0.5, 0.95, 0.99)


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One line, or several, of a panel: PromQL and how they are named."""

    expression: str
    legend: str


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """A graph; `most` draws a line at what an objective allows."""

    title: str
    meaning: str
    unit: str
    queries: tuple[Query, ...]
    most: float | None = None


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """A dashboard; `key` is its file's name and, after `kaireon-`, its uid."""

    key: str
    title: str
    panels: tuple[Panel, ...]


def panel(metric: Metric) -> Panel:
    """Return the graph of one metric: rates of counters, quantiles of histograms, gauges as they are."""
    queries = _QUERIES[metric.kind](metric)
    unit = "ops" if metric.kind is Kind.COUNTER else _UNITS[metric.unit]
    return Panel(title=_title(metric), meaning=metric.meaning, unit=unit, queries=queries)


def _title(metric: Metric) -> str:
    words = metric.name.removeprefix("kaireon_").removesuffix("_total").replace("_", " ")
    return words[0].upper() + words[1:]


def _by(metric: Metric) -> str:
    return f" by ({', '.join(metric.labels)})" if metric.labels else ""


def _legend(metric: Metric) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in metric.labels) or _title(metric)


def _rates(metric: Metric) -> tuple[Query, ...]:
    together = "max" if metric.is_stored else "sum"
    return (Query(expression=f"{together}{_by(metric)} (rate({metric.name}{_RANGE}))", legend=_legend(metric)),)


def _levels(metric: Metric) -> tuple[Query, ...]:
    return (Query(expression=f"max{_by(metric)} ({metric.name})", legend=_legend(metric)),)


def _quantiles(metric: Metric) -> tuple[Query, ...]:
    return tuple(
        Query(
            expression=f"histogram_quantile({quantile}, sum by (le) (rate({metric.name}_bucket{_RANGE})))",
            legend=f"p{quantile * 100:g}",
        )
        for quantile in _QUANTILES
    )


_QUERIES = {Kind.COUNTER: _rates, Kind.GAUGE: _levels, Kind.HISTOGRAM: _quantiles}


def _burn(objective: Objective) -> Panel:
    return Panel(
        title=objective.key.replace("-", " ").capitalize(),
        meaning=f"{objective.promise}. {objective.measured}",
        unit="percentunit" if objective.budget else "short",
        queries=tuple(
            Query(expression=recorded(objective, window), legend=f"errors over {window}")
            for window in ("5m", "1h", "3d")
        ),
        most=objective.budget,
    )


_SCORED = catalogue.SCORING_CANDIDATES.name
_HITS, _MISSES = catalogue.CACHE_HITS.name, catalogue.CACHE_MISSES.name
_DURATION = catalogue.HTTP_REQUEST_DURATION.name
_DEGRADED = Panel(
    title="Share of candidates with a stand-in",
    meaning="Candidates whose score stands in for their model's, by model.",
    unit="percentunit",
    queries=(
        Query(
            expression=(
                f"sum by (modelKey) (rate({catalogue.SCORING_FALLBACK.name}{_RANGE}))"
                f" / sum by (modelKey) (rate({_SCORED}{_RANGE}))"
            ),
            legend="{{modelKey}}",
        ),
    ),
    most=0.01,
)
_BY_STATUS = Panel(
    title="Requests by status",
    meaning="Requests answered, by status.",
    unit="reqps",
    queries=(Query(expression=f"sum by (status) (rate({_DURATION}_count{_RANGE}))", legend="{{status}}"),),
)
_SLOWEST = Panel(
    title="The ten slowest routes, p95",
    meaning="Time of 95 % of the requests of a route.",
    unit="s",
    queries=(
        Query(
            expression=(
                f"topk(10, histogram_quantile(0.95, sum by (le, method, route) (rate({_DURATION}_bucket{_RANGE}))))"
            ),
            legend="{{method}} {{route}}",
        ),
    ),
)
_HIT_RATE = Panel(
    title="Share of reads that a cache answered",
    meaning="By what is cached.",
    unit="percentunit",
    queries=(
        Query(
            expression=(
                f"sum by (key) (rate({_HITS}{_RANGE}))"
                f" / (sum by (key) (rate({_HITS}{_RANGE})) + sum by (key) (rate({_MISSES}{_RANGE})))"
            ),
            legend="{{key}}",
        ),
    ),
)

# Each metric stands on the first board whose list names the beginning of its name.
_PLACES: tuple[tuple[str, str, tuple[str, ...], tuple[Panel, ...]], ...] = (
    ("service-levels", "Kaireon / Service levels", (), tuple(_burn(objective) for objective in OBJECTIVES)),
    ("http", "Kaireon / HTTP", ("http", "rate_limit", "unexpected", "mcp"), (_BY_STATUS, _SLOWEST)),
    (
        "models",
        "Kaireon / Models and experiments",
        ("scoring_c", "scoring_f", "scoring_m", "shadow", "circuit", "experiment", "training", "analyses"),
        (_DEGRADED,),
    ),
    ("events", "Kaireon / Outbox and buses", ("outbox", "dlq", "interaction_store", "stream", "behavioral"), ()),
    ("work", "Kaireon / Queues and workers", ("job", "cron", "trigger", "journey"), ()),
    ("stores", "Kaireon / Stores and caches", ("cache", "replica", "search", "snapshot"), (_HIT_RATE,)),
    ("decisions", "Kaireon / Decisions", ("",), ()),
)


def boards() -> tuple[Board, ...]:
    """Return every board; together they show every metric once."""
    left = list(CATALOGUE)
    made = list[Board]()
    for key, title, beginnings, above in _PLACES:
        prefixes = tuple(f"kaireon_{beginning}" for beginning in beginnings)
        mine = [metric for metric in left if metric.name.startswith(prefixes)]
        left = [metric for metric in left if metric not in mine]
        made.append(Board(key=key, title=title, panels=(*above, *map(panel, mine))))
    return tuple(made)
