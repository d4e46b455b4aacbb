"""Watches the model at work. Lesson 9."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import structlog
from prometheus_client import CollectorRegistry

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue
from labserver.features.flight import Flight
from labserver.model.bundle import Bundle
from labserver.model.reference import Reference
from labserver.moments import HOUR, from_microseconds, microseconds
from labserver.monitor.alerts import Alerts, GrewLately, disk_findings, quality_findings, stale_findings
from labserver.monitor.drift import Detector, Finding, Judgement
from labserver.monitor.impact import Impact
from labserver.monitor.materialised import Materialised, StoreWatch
from labserver.monitor.model_metrics import ModelMetrics
from labserver.monitor.outcomes import OutcomeStore
from labserver.monitor.predictions import PredictionLog
from labserver.monitor.quality import QualityReader
from labserver.monitor.served import AnswerCounter, Pair, Served
from labserver.monitor.shadow import Shadow
from labserver.monitor.status import Status
from labserver.monitor.tally import RecentHours, Tally
from labserver.service.answer import Answer
from labserver.service.ports import DecisionPolicy, Predictor
from labserver.settings import Settings


@dataclass(frozen=True)
class Watched:
    """Everything that a monitor needs."""

    settings: Settings
    bundle: Bundle
    catalogue: Catalogue
    registry: CollectorRegistry
    outcomes: OutcomeStore
    detector: Detector | None
    shadow: Predictor | None = None
    predictor: Predictor | None = None
    decision: DecisionPolicy | None = None


class ModelMonitor:
    """The shipped monitor. Requests only append to a queue. One thread empties it a few times a second, in small
    batches of array work: a thread that holds the interpreter's lock for long makes a request wait.
    """

    QUEUE = 10_000
    """Answers that can wait; more are dropped and counted as dropped. Two seconds of one core's traffic."""
    BATCH = 250
    PAUSE = 0.001
    """Pause after each batch in seconds: only a thread that waits passes the interpreter's lock to the requests."""
    SECONDS = 0.25
    """Seconds between two rounds; a killed process loses that much of the log."""
    JUDGE_SECONDS = 1.0
    MEASURE_SECONDS = 3.0

    def __init__(self, watched: Watched) -> None:
        settings, bundle, catalogue = watched.settings, watched.bundle, watched.catalogue
        reference = Reference.read(bundle.reference, catalogue.names)
        if watched.detector is None:
            raise LabError("The monitor of lesson 9 needs a detector: the part drift.")
        self._detector = watched.detector
        self._shadow = Shadow(watched.shadow) if watched.shadow else None
        self._outcomes = watched.outcomes
        places = sorted(bundle.vocabulary["routes"])
        self._counter = AnswerCounter(catalogue, reference, places)
        self._impact = (
            Impact(catalogue, reference, watched.predictor, watched.decision)
            if watched.predictor and watched.decision
            else None
        )
        self._metrics = ModelMetrics(watched.registry, catalogue, reference, bundle.manifest, settings.lesson)
        self._log = PredictionLog(
            settings.prediction_log,
            bundle.manifest["model_version"],
            max_bytes=settings.prediction_log_megabytes * 1_000_000,
            max_days=settings.prediction_log_days,
        )
        self._quality = QualityReader(settings.prediction_log, settings.outcomes)
        self._store = StoreWatch(settings.online_store(bundle.features_version), catalogue)
        self._hours = RecentHours(reference, len(places))
        self._alerts = Alerts()
        self._status = Status(catalogue, reference, self._metrics)
        self._position = {name: place for place, name in enumerate(catalogue.names)}
        self._queue: deque[Pair] = deque()
        self._drops = 0
        self._dropping, self._failing = GrewLately(), GrewLately()
        self._groups = catalogue.stored
        self._stored: Materialised | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)
        self._judged_at = self._measured_at = 0.0
        self._read_store()

    def start(self) -> None:
        """See :class:`Monitor`."""
        self._thread.start()
        if self._shadow:
            self._shadow.start()

    def predicted(self, flight: Flight, answer: Answer) -> None:
        """See :class:`Monitor`."""
        if len(self._queue) < self.QUEUE:
            self._queue.append((flight, answer))
        else:
            self._drops += 1

    def refused(self, field: str) -> None:
        """See :class:`Monitor`. Only features are counted: labels must be few."""
        place = self._position.get(field.rpartition("overrides.")[2])
        if place is not None:
            counts = np.zeros(len(self._position), np.int64)
            counts[place] = 1
            self._metrics.rejected.add(counts)

    def status(self) -> dict[str, Any]:
        """See :class:`Monitor`."""
        beside = self._shadow
        shadow = {"answers": beside.answers, "errors": beside.errors, "dropped": beside.dropped} if beside else None
        return {**self._status.shown(), "shadow": shadow, "alerts": self._alerts.shown()}

    def close(self) -> None:
        """See :class:`Monitor`."""
        self._stopping.set()
        if self._shadow:
            self._shadow.close()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._log.close()
        self._quality.close()

    def _run(self) -> None:
        _yield_to_requests()
        while not self._stopping.wait(self.SECONDS):
            self._guarded_round()
        self._guarded_round()

    def _guarded_round(self) -> None:
        try:
            self.round()
        except Exception as error:  # any error: requests do not wait for this thread, and the next round can succeed
            structlog.get_logger().error("monitor_fault", kind=type(error).__name__, exc_info=error)

    def round(self) -> None:
        """Process everything that was noted."""
        while batch := [self._queue.popleft() for _ in range(min(self.BATCH, len(self._queue)))]:
            self._absorb(batch)
            if not self._stopping.is_set():
                time.sleep(self.PAUSE)
        if self._shadow:
            self._log.add_shadow(self._shadow.version, self._shadow.take())
            self._metrics.shadowed(self._shadow)
        self._log.flush()
        now = time.monotonic()
        if now - self._measured_at >= self.MEASURE_SECONDS:
            self._measured_at = now
            self._measure()
        if now - self._judged_at >= self.JUDGE_SECONDS:
            self._judged_at = now
            self._judge(now)
        self._metrics.logged(self._log, self._drops, self._outcomes.errors)

    def _absorb(self, pairs: list[Pair]) -> None:
        served = Served.from_answers(pairs)
        counted = self._counter.count(served)
        self._metrics.served(served, counted)
        self._hours.move(microseconds(pairs[-1][1].vector.clock) // HOUR)
        for hour, tally in counted.hours.items():
            self._hours.add(hour, tally)
        if self._impact:
            self._impact.served(served)
        self._status.served(served)
        self._log.add(served)
        if self._shadow:
            self._shadow.offer(served)

    def _measure(self) -> None:
        """Read the files, which is slower."""
        self._log.prune()
        self._read_store()
        try:
            self._status.quality = self._quality.read(from_microseconds(round(self._status.clock * 1e6)))
        except sqlite3.Error as error:
            structlog.get_logger().warning("quality_unreadable", detail=str(error))
            return
        self._metrics.measured(self._status.quality)

    def _read_store(self) -> None:
        if stored := self._store.look():
            self._stored = stored
            self._metrics.materialised(stored)
            self._status.clock = stored.clock

    def _judgement(self, today: Tally, days: Sequence[Tally]) -> Judgement:
        try:
            judgement = self._detector.judge(today, days)
            findings = self._impact.graded(judgement.findings) if self._impact else judgement.findings
            return replace(judgement, findings=tuple(findings))
        except Exception as error:  # perhaps a learner's detector: it is reported, and the rest of the monitor goes on
            detail = f"The detector fails: {type(error).__name__}: {error}"
            nothing = np.full(len(today.bins), np.nan)
            return Judgement(nothing, nothing, (Finding("DetectorFailing", "ticket", detail),))

    def _judge(self, now: float) -> None:
        today, days = self._hours.today(), self._hours.days()
        judgement = self._judgement(today, days)
        self._metrics.judged(judgement, self._impact.found if self._impact else {})
        self._status.judged(judgement, [*days, today])
        dropping = self._dropping.look(self._drops + self._log.dropped, now)
        failing = self._failing.look(self._outcomes.errors, now)
        self._alerts.update(
            [
                *judgement.findings,
                *quality_findings(self._status.quality),
                *disk_findings(self._log.problem, dropping, failing),
                *(stale_findings(self._stored, self._groups) if self._stored else ()),
            ]
        )


def _yield_to_requests() -> None:
    """Lower this thread's priority, so that on a full core the thread that answers runs first. Linux only."""
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox can forbid it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)
