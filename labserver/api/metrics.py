"""Metrics of HTTP requests, by route, method and status."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge

from labserver.monitor.prometheus import BulkHistogram
from labserver.monitor.workers import SHARED_FOLDER_VARIABLE

DURATION_BUCKETS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Upper ends of the latency buckets in seconds: a quick answer takes about 1 ms, and above 1 s it is too late."""

METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"})
REFUSAL_REASONS = (
    "overload",
    "timeout",
    "too_large",
    "not_json",
    "unauthorised",
    "not_http",
    "head_too_large",
    "foreign_host",
)
"""Reasons to reject a request before it reaches a route: a bounded set of labels."""
REFUSED = "refused"
"""Key of :meth:`HttpMetrics.rejected` in the application's lifespan state, for what never becomes a request."""
RECENT_SECONDS = 10.0
FLUSH_SECONDS = 0.25

_Finished = tuple[float, float, tuple[str, str, int]]
"""A finished request: its time, its duration and its series."""


class HttpMetrics:
    """Counts requests. Called once per request, from the event loop's thread alone; a call takes half a microsecond.

    The dashboard's figures are those of *traffic*, the requests that the service is there for: the dashboard asks for
    its own figures once a second, and an idle service should look idle. Prometheus gets all requests, by route.

    Finished requests are added to the histograms a few times a second, and whenever the histograms are read. With
    several workers each adds at once, since a different worker can be the one that is read.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._shared = SHARED_FOLDER_VARIABLE in os.environ
        self._duration = BulkHistogram(
            "http_request_duration_seconds",
            "Time from the arrival of a request to the last byte of its answer.",
            ["route", "method", "status"],
            buckets=DURATION_BUCKETS,
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
        self._dropped_lines = Counter(
            "log_lines_dropped",
            "Lines of the log that were not written: nobody reads, or the disk is full.",
            registry=registry,
        )
        self._reasons = {reason: self._rejected.labels(reason) for reason in REFUSAL_REASONS}
        self._every = 0.0 if self._shared else FLUSH_SECONDS
        self._due = 0.0
        self._pending: list[_Finished] = []
        self._latest: deque[_Finished] = deque(maxlen=50_000)
        self._counts = dict.fromkeys(REFUSAL_REASONS, 0)
        self.in_flight = 0
        self._traffic_in_flight = 0
        self._traffic_total = 0

    def expect(self, routes: Iterable[tuple[str, str, Sequence[int]]]) -> None:
        """Let the series of these routes (template, method, statuses) exist from the start, at zero: a rate over a
        series that appears with its first error does not see that error.
        """
        for route, method, statuses in routes:
            for status in statuses:
                self._duration.labels(route, method, str(status))

    def started(self, traffic: bool) -> None:
        """Count a request in; ``traffic`` must be the same in :meth:`finished`."""
        self.in_flight += 1
        self._traffic_in_flight += traffic
        if self._shared:
            self._in_flight.set(self.in_flight)

    def finished(self, route: str, method: str, status: int, seconds: float, traffic: bool) -> None:
        """Count a request out, whatever its status.

        Args:
            route: the template, such as ``/v1/predictions``, never the path that was sent: labels must be few.
            method: any but the usual ones count as ``other``.
            status: the answer's status, 0 if the client was gone before it was sent.
            seconds: how long it took.
            traffic: whether it is one of those that the service is there for.
        """
        self.in_flight -= 1
        now = time.monotonic()
        done = (now, seconds, (route, method, status))
        self._pending.append(done)
        if traffic:
            self._traffic_in_flight -= 1
            self._traffic_total += 1
            self._latest.append(done)
        if now >= self._due:
            self.flush()
            self._due = now + self._every

    def flush(self) -> None:
        """Add the finished requests to the histograms."""
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
        """Count a rejected request; ``reason`` is one of :data:`REFUSAL_REASONS`."""
        self._counts[reason] += 1
        self._reasons[reason].inc()

    def lines_dropped(self, number: int) -> None:
        """Count lines of the log that were not written. From any thread."""
        self._dropped_lines.inc(number)

    def recent(self) -> dict[str, Any]:
        """The dashboard's figures: counts of this process, and rate and percentiles of the last ten seconds.

        Only traffic counts, except for ``rejected``: a wrong key is worth a look on every path.
        """
        since = time.monotonic() - RECENT_SECONDS
        seconds = np.array([took for ended, took, _ in self._latest if ended >= since])
        p50, p99 = (np.percentile(seconds, [50, 99]) * 1e3).round(3).tolist() if len(seconds) else (None, None)
        return {
            "total": self._traffic_total,
            "per_second": round(len(seconds) / RECENT_SECONDS, 1),
            "p50_ms": p50,
            "p99_ms": p99,
            "in_flight": self._traffic_in_flight,
            "rejected": dict(self._counts),
        }
