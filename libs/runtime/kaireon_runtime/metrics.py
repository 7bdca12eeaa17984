"""What a process counts: the catalogue's metrics, in a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as MetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from kaireon_runtime.catalogue import CATALOGUE
from kaireon_runtime.metric import Kind, Metric

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_PLAIN_0_0_4


class _Level:
    """A gauge without labels: a name without a value until it is set. Every tier has it, and 0 would be a claim."""

    def __init__(self, metric: Metric, registry: CollectorRegistry) -> None:
        self._metric = metric
        self._gauge: Gauge | None = None
        registry.register(self)

    def set(self, value: float) -> None:
        """Have this value from now on."""
        if self._gauge is None:
            metric = self._metric
            self._gauge = Gauge(metric.name, metric.meaning, registry=None, multiprocess_mode="livemax")
        self._gauge.set(value)

    def collect(self) -> Iterable[MetricFamily]:
        """Return the name, and the value if there is one."""
        return (
            [GaugeMetricFamily(self._metric.name, self._metric.meaning)]
            if self._gauge is None
            else self._gauge.collect()
        )


class _Stored:
    """A counter that a table holds: without a value until it is read. From 0 on it would seem to have risen at once."""

    def __init__(self, metric: Metric, registry: CollectorRegistry) -> None:
        self._metric = metric
        self._totals: dict[tuple[str, ...], float] = {}
        registry.register(self)

    def set(self, total: float, labels: tuple[str, ...]) -> None:
        """Have this total from now on."""
        self._totals[labels] = total

    def collect(self) -> Iterable[MetricFamily]:
        """Return the name, and the totals that were read."""
        family = CounterMetricFamily(self._metric.name, self._metric.meaning, labels=self._metric.labels)
        for labels, total in list(self._totals.items()):
            family.add_metric(labels, total)
        return [family]


_Instrument = Counter | Gauge | Histogram | _Level


class Metrics:
    """The metrics of one process. Each name of the catalogue exists from the start, so that absence is visible."""

    def __init__(self, catalogue: tuple[Metric, ...] = CATALOGUE, *, shared_directory: Path | None = None) -> None:
        """Take a directory when several processes answer for one service; PROMETHEUS_MULTIPROC_DIR."""
        self._registry = CollectorRegistry()
        self._shared_directory = shared_directory
        self._stored = {metric.name: _Stored(metric, self._registry) for metric in catalogue if metric.is_stored}
        self._instruments = {
            metric.name: _create(metric, self._registry) for metric in catalogue if not metric.is_stored
        }
        self._children: dict[tuple[str, tuple[str, ...]], _Instrument] = {}

    def add(self, metric: Metric, *labels: str, amount: float = 1) -> None:
        """Raise a counter; labels in the order of the catalogue."""
        child = self._child(metric, labels)
        assert isinstance(child, Counter), metric.name  # noqa: S101  a wrong kind is a defect of the caller
        child.inc(amount)

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """Record one value of a histogram, in the metric's unit."""
        child = self._child(metric, labels)
        assert isinstance(child, Histogram), metric.name  # noqa: S101  a wrong kind is a defect of the caller
        child.observe(value)

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """Set a gauge."""
        child = self._child(metric, labels)
        assert isinstance(child, Gauge | _Level), metric.name  # noqa: S101  a wrong kind is a defect of the caller
        child.set(value)

    def set_total(self, metric: Metric, total: float, *labels: str) -> None:
        """Take over the total of a stored counter, as it was read."""
        self._stored[metric.name].set(total, labels)

    def render(self) -> bytes:
        """Return the Prometheus text form, over all processes that share the directory."""
        if self._shared_directory is None:
            return prometheus_client.generate_latest(self._registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone, path=str(self._shared_directory))
        return prometheus_client.generate_latest(everyone)

    def serve(self, host: str, port: int) -> Callable[[], None]:
        """Answer `GET /metrics` on a port of its own, for tiers without HTTP; return how to stop it."""
        server, thread = prometheus_client.start_http_server(port, host, self._registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return stop

    def _child(self, metric: Metric, labels: tuple[str, ...]) -> _Instrument:
        child = self._children.get((metric.name, labels))
        if child is None:
            instrument = self._instruments[metric.name]
            child = instrument if isinstance(instrument, _Level) or not metric.labels else instrument.labels(*labels)
            self._children[metric.name, labels] = child
        return child


def _create(metric: Metric, registry: CollectorRegistry) -> _Instrument:
    if metric.kind is Kind.COUNTER:
        return Counter(metric.name, metric.meaning, metric.labels, registry=registry)
    if metric.kind is Kind.GAUGE and not metric.labels:
        return _Level(metric, registry)
    if metric.kind is Kind.GAUGE:
        return Gauge(metric.name, metric.meaning, metric.labels, registry=registry, multiprocess_mode="livemax")
    return Histogram(metric.name, metric.meaning, metric.labels, registry=registry, buckets=metric.buckets)
