"""Prometheus metrics of the requests, and the page that Prometheus reads."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from labserver.monitor.workers import SHARED

SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Upper ends of the latency buckets: a quick answer takes about 1 ms, and nobody waits for one that takes 1 s."""

METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"})
REASONS = ("overload", "timeout", "too_large", "not_json", "unauthorised")
"""Why a request is turned away before it reaches a route: a bounded set of labels."""
RECENT_SECONDS = 10.0
FLUSH_SECONDS = 0.25

_Finished = tuple[float, float, tuple[str, str, int]]
"""When, how long it took, and which series it belongs to."""

# A second series for each counter, which Prometheus does not use.
disable_created_metrics()  # type: ignore[no-untyped-call]


class BulkHistogram(Histogram):
    """A histogram that takes many values in one call: the drain would otherwise spend most of its time here."""

    def observe_many(self, values: Sequence[float] | NDArray[np.floating[Any]]) -> None:
        """Observe each of ``values``, of shape (values,)."""
        if len(values) == 1:
            self.observe(float(values[0]))
            return
        places, counts = np.unique(np.searchsorted(self._upper_bounds, values, side="left"), return_counts=True)
        for place, count in zip(places.tolist(), counts.tolist(), strict=True):
            self._buckets[place].inc(count)
        self._sum.inc(float(np.sum(values, dtype=np.float64)))


class HttpMetrics:
    """Counts requests. Called for each one, from the event loop's thread alone, at half a microsecond a call.

    What is finished is noted and added to the histograms a few times a second, and whenever they are read. Of several
    workers each adds at once, since another may be the one that is read.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._shared = SHARED in os.environ
        self._duration = BulkHistogram(
            "http_request_duration_seconds",
            "Time from the arrival of a request to the last byte of its answer.",
            ["route", "method", "status"],
            buckets=SECONDS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "http_requests_in_flight",
            "Requests that are being answered.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        if not self._shared:
            self._in_flight.set_function(lambda: self.in_flight)
        self._rejected = Counter(
            "requests_rejected", "Requests turned away before they reached the service.", ["reason"], registry=registry
        )
        self._reasons = {reason: self._rejected.labels(reason) for reason in REASONS}
        self._every = 0.0 if self._shared else FLUSH_SECONDS
        self._due = 0.0
        self._pending: list[_Finished] = []
        self._latest: deque[_Finished] = deque(maxlen=50_000)
        self._counts = dict.fromkeys(REASONS, 0)
        self.in_flight = 0
        self.total = 0

    def expect(self, routes: Iterable[tuple[str, str, Sequence[int]]]) -> None:
        """Let the series of these routes (template, method, statuses) exist from the start, at zero: a rate over a
        series that appears with its first error does not see that error.
        """
        for route, method, statuses in routes:
            for status in statuses:
                self._duration.labels(route, method, str(status))

    def started(self) -> None:
        """A request has arrived."""
        self.in_flight += 1
        if self._shared:
            self._in_flight.set(self.in_flight)

    def finished(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request is over, whatever became of it.

        Args:
            route: the template, such as ``/v1/predictions``, never the path that was sent: labels must be few.
            method: any but the usual ones count as ``other``.
            status: the answer's status, 0 if the client was gone before it was sent.
            seconds: how long it took.
        """
        self.in_flight -= 1
        self.total += 1
        now = time.monotonic()
        done = (now, seconds, (route, method, status))
        self._pending.append(done)
        self._latest.append(done)
        if now >= self._due:
            self.flush()
            self._due = now + self._every

    def flush(self) -> None:
        """Add what is finished to the histograms."""
        pending, self._pending = self._pending, []
        by_series: dict[tuple[str, str, int], list[float]] = {}
        for _, seconds, key in pending:
            by_series.setdefault(key, []).append(seconds)
        for (route, method, status), times in by_series.items():
            shown = method if method in METHODS else "other"
            self._duration.labels(route, shown, str(status)).observe_many(times)
        if self._shared:
            self._in_flight.set(self.in_flight)

    def rejected(self, reason: str) -> None:
        """A request was turned away; ``reason`` is one of :data:`REASONS`."""
        self._counts[reason] += 1
        self._reasons[reason].inc()

    def recent(self) -> dict[str, Any]:
        """What the dashboard shows: counts of this process, and rate and percentiles of the last ten seconds."""
        since = time.monotonic() - RECENT_SECONDS
        seconds = np.array([took for ended, took, _ in self._latest if ended >= since])
        p50, p99 = (np.percentile(seconds, [50, 99]) * 1e3).round(3).tolist() if len(seconds) else (None, None)
        return {
            "total": self.total,
            "per_second": round(len(seconds) / RECENT_SECONDS, 1),
            "p50_ms": p50,
            "p99_ms": p99,
            "in_flight": self.in_flight,
            "rejected": dict(self._counts),
        }


def new_registry() -> CollectorRegistry:
    """A registry with the process's own metrics. Those cannot be added up, so several workers have none."""
    registry = CollectorRegistry()
    if SHARED not in os.environ:
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
    return registry


def exposition(registry: CollectorRegistry) -> bytes:
    """The page for Prometheus, text format 0.0.4: of this process, or the sum over all workers."""
    folder = os.environ.get(SHARED)
    if not folder:
        return generate_latest(registry)
    _forget_dead_workers(Path(folder))
    together = CollectorRegistry()
    MultiProcessCollector(together, folder)  # type: ignore[no-untyped-call]
    return generate_latest(together)


def _forget_dead_workers(folder: Path) -> None:
    """A gauge of a worker that was killed would count for ever; its counters rightly do."""
    for pid in {int(file.stem.rpartition("_")[2]) for file in folder.glob("gauge_live*_*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
        except PermissionError:
            pass
