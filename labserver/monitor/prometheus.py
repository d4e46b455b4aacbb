"""Prometheus: the registry of a process, a histogram that takes many values at once, and the page of all workers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from labserver.monitor.workers import SHARED_FOLDER_VARIABLE

# A second series for each counter, which Prometheus does not use.
disable_created_metrics()  # type: ignore[no-untyped-call]


class BulkHistogram(Histogram):
    """A histogram that takes many values in one call, or the monitor's thread would spend most of its time here."""

    def observe_many(self, values: Sequence[float] | NDArray[np.floating[Any]]) -> None:
        """Observe each of ``values``, of shape (values,)."""
        if len(values) == 1:
            self.observe(float(values[0]))
            return
        places, counts = np.unique(np.searchsorted(self._upper_bounds, values, side="left"), return_counts=True)
        for place, count in zip(places.tolist(), counts.tolist(), strict=True):
            self._buckets[place].inc(count)
        self._sum.inc(float(np.sum(values, dtype=np.float64)))


def new_registry() -> CollectorRegistry:
    """A registry with the process's own metrics. These cannot be summed, so several workers have none."""
    registry = CollectorRegistry()
    if SHARED_FOLDER_VARIABLE not in os.environ:
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
    return registry


def exposition(registry: CollectorRegistry, written: Callable[[CollectorRegistry], bytes] = generate_latest) -> bytes:
    """The page for Prometheus: of this process, or the sum over all workers.

    Args:
        registry: of this process.
        written: the format; text, version 0.0.4, or that of :mod:`prometheus_client.openmetrics.exposition`.
    """
    folder = os.environ.get(SHARED_FOLDER_VARIABLE)
    if not folder:
        return written(registry)
    _forget_dead_workers(Path(folder))
    together = CollectorRegistry()
    MultiProcessCollector(together, folder)  # type: ignore[no-untyped-call]
    return written(together)


def _forget_dead_workers(folder: Path) -> None:
    """Remove the gauges of a killed worker, which would count for ever. Its counters rightly do."""
    for pid in {int(file.stem.rpartition("_")[2]) for file in folder.glob("gauge_live*_*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
        except PermissionError:
            pass
