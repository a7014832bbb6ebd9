"""Figures of the service as Prometheus reads them, https://prometheus.io/docs/practices/naming/."""

import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from nas.store import Store

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Telemetry:
    """Counts requests as they are answered, and what is in the store when it is asked."""

    def __init__(self, store: Store) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "nas_http_requests", "Requests that were answered.", ("operation", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "nas_http_request_seconds",
            "From a request to the end of its answer.",
            ("operation",),
            registry=self._registry,
            buckets=BUCKETS,
        )
        self._registry.register(_Stored(store))
        ProcessCollector(registry=self._registry)  # memory, handles, processor time

    def answered(self, operation: str, status: int, seconds: float) -> None:
        """A request has had its answer."""
        self._requests.labels(operation, str(status)).inc()
        self._seconds.labels(operation).observe(seconds)

    def text(self) -> bytes:
        """All of it. Raises StoreError."""
        return generate_latest(self._registry)


class _Stored(Collector):
    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: the database need not be there yet."""
        return ()

    def collect(self) -> Iterable[Metric]:
        tallies = self._store.tallies()
        runs = GaugeMetricFamily("nas_runs", "Runs by kind and state.", labels=("kind", "state"))
        for (kind, state), number in tallies.runs.items():
            runs.add_metric((kind, state), number)
        yield runs
        trials = GaugeMetricFamily("nas_trials", "Trials by state.", labels=("state",))
        for state, number in tallies.trials.items():
            trials.add_metric((state,), number)
        yield trials
        # Of a run: "claimed" more often than there are runs says that coordinators died or runs were resumed.
        events = GaugeMetricFamily("nas_events", "Events of runs, by kind.", labels=("kind",))
        for kind, number in tallies.events.items():
            events.add_metric((kind,), number)
        yield events
        waits = 0.0 if tallies.waiting_since is None else max(0.0, time.time() - tallies.waiting_since)
        yield GaugeMetricFamily("nas_queue_seconds", "For which the run that waits longest has not begun.", waits)
