"""Prometheus metrics of the model: its inputs, its answers, and their outcomes."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge

from labserver import __version__
from labserver.features.catalogue import Catalogue
from labserver.model.reference import Reference
from labserver.monitor.deviation import WINDOWS
from labserver.monitor.drift import STATISTICS, Judgement
from labserver.monitor.materialised import Materialised
from labserver.monitor.predictions import PredictionLog
from labserver.monitor.prometheus import BulkHistogram
from labserver.monitor.quality import Quality
from labserver.monitor.served import Counted, Served
from labserver.monitor.shadow import Shadow
from labserver.monitor.workers import SHARED_FOLDER_VARIABLE

SCORE_BUCKETS = tuple(round(edge / 20, 2) for edge in range(1, 21))
DECISIONS = ("warn", "no_warning")


class PerFeature:
    """A counter for each feature, and the same counts for the dashboard."""

    def __init__(self, name: str, meaning: str, names: tuple[str, ...], registry: CollectorRegistry) -> None:
        counter = Counter(name, meaning, ["feature"], registry=registry)
        self._series = [counter.labels(feature) for feature in names]
        self.total = np.zeros(len(names), np.int64)

    def add(self, counts: NDArray[np.int64]) -> None:
        """Add counts of shape (features,)."""
        for place in np.flatnonzero(counts).tolist():
            self._series[place].inc(int(counts[place]))
        self.total += counts


class ModelMetrics:
    """The model's metrics. Every series exists from the start, at zero or, where a number would be wrong, as NaN."""

    def __init__(
        self,
        registry: CollectorRegistry,
        catalogue: Catalogue,
        reference: Reference,
        manifest: Mapping[str, Any],
        stage: int,
    ) -> None:
        def gauge(name: str, meaning: str, *labels: str) -> Gauge:
            # With several workers, the latest value counts: each sees a share of the requests, or the same files.
            return Gauge(name, meaning, labels, registry=registry, multiprocess_mode="livemostrecent")

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(name, meaning, labels, registry=registry)

        def per_feature(name: str, meaning: str) -> PerFeature:
            return PerFeature(name, meaning, names, registry)

        names = catalogue.names
        self._columns = reference.names
        self.missing = per_feature("feature_missing", "Values that were not known; the model got the typical one.")
        self.impossible = per_feature("feature_out_of_range", "Values that cannot be; the model got the typical one.")
        self.clipped = per_feature("feature_clipped", "Possible values beyond what training saw; clipped.")
        self.stale = per_feature("feature_stale", "Values older than their source promises.")
        self.rejected = per_feature("feature_rejected", "Values sent by clients and refused.")
        self._predictions = counter("predictions", "Answers, by decision.", "decision")
        self._decisions = [self._predictions.labels(decision) for decision in DECISIONS]
        self._score = BulkHistogram(
            "prediction_score", "Probability of a late arrival.", buckets=SCORE_BUCKETS, registry=registry
        )
        self._dropped = counter("prediction_log_dropped", "Predictions that were answered and not logged.")
        self._log_errors = counter("prediction_log_write_errors", "Writes of the prediction log that failed.")
        self._log_written = counter("prediction_log_rows", "Predictions written to the log.")
        self._log_bytes = gauge("prediction_log_bytes", "Size of the prediction log.")
        self._outcome_errors = counter("outcome_write_errors", "Writes of outcomes that failed.")
        self._drift = gauge(
            "feature_drift_score", "Distance from training, in its standard deviations.", "feature", "window"
        )
        self._score_drift = gauge("prediction_drift_score", "The same of the predictions.", "window")
        self._ratio = gauge(
            "feature_deviation_ratio",
            "A statistic over its threshold; above 1 there is an alert.",
            "feature",
            "statistic",
        )
        self._score_ratio = gauge("prediction_deviation_ratio", "The same of the predictions.", "statistic")
        self._changed = gauge("feature_decisions_changed", "Share of decisions that depend on the feature.", "feature")
        self._clock = gauge("online_store_clock_timestamp_seconds", "The online store's clock, in simulated time.")
        self._moved = gauge(
            "online_store_last_materialized_timestamp_seconds", "When that clock last moved, in real time."
        )
        self._newest = gauge(
            "feature_group_newest_timestamp_seconds",
            "When the group's newest value was known, in simulated time.",
            "group",
        )
        self._outcomes = gauge("outcomes_stored", "Outcomes on disk.")
        self._joined = gauge("outcomes_joined", "Outcomes that the rolling figures rest on.")
        self._join_ratio = gauge("label_join_ratio", "Share of predictions with an outcome, of those that are due.")
        self._auc = gauge("model_auc", "Rolling AUC.")
        self._brier = gauge("model_brier_score", "Rolling Brier score.")
        self._calibration = gauge("model_calibration_error", "Rolling expected calibration error.")
        self._shadow = counter("shadow_predictions", "A second model's answers, errors and drops.", "result")
        beside = ("shadow_answers", "shadow_errors", "shadow_dropped")
        self._counted = dict.fromkeys(("dropped", "errors", "written", "outcomes", *beside), 0)
        freshness = gauge("feature_group_freshness_seconds", "Age at which a group's values are stale.", "group")
        for group in catalogue.stored:
            if group.freshness:
                freshness.labels(group.name).set(group.freshness.total_seconds())
        self._describe(registry, manifest, catalogue, stage)
        nothing = np.full(len(self._columns), np.nan)
        self._usual = dict(zip(names, reference.decides.tolist(), strict=False))
        self.judged(Judgement(nothing, nothing, (), nothing, dict.fromkeys(STATISTICS, nothing)), {})
        self.measured(Quality())

    def served(self, served: Served, counted: Counted) -> None:
        """Count a batch."""
        for tally in counted.hours.values():
            self.missing.add(tally.missing)
            self.impossible.add(tally.impossible)
        self.clipped.add(counted.clipped)
        self.stale.add(counted.stale)
        warned = served.warned
        self._decisions[0].inc(warned)
        self._decisions[1].inc(len(served.pairs) - warned)
        self._score.observe_many(served.scores)

    def judged(self, judgement: Judgement, changed: Mapping[str, float]) -> None:
        """Show the drift, and how many decisions depend on the features that were found; of others the usual share."""
        windows = (judgement.day, judgement.week, judgement.month)
        for window, distance in zip(WINDOWS, windows, strict=True):
            if distance is not None:
                self._set_columns(self._drift, self._score_drift, window, distance)
        for statistic, ratio in judgement.ratios.items():
            self._set_columns(self._ratio, self._score_ratio, statistic, ratio)
        for feature, usual in self._usual.items():
            _set(self._changed.labels(feature), changed.get(feature, usual))

    def measured(self, quality: Quality) -> None:
        """Show the model's quality."""
        self._outcomes.set(quality.outcomes)
        self._joined.set(quality.joined)
        for gauge, value in (
            (self._join_ratio, quality.join_ratio),
            (self._auc, quality.auc),
            (self._brier, quality.brier),
            (self._calibration, quality.calibration_error),
        ):
            _set(gauge, np.nan if value is None else value)

    def materialised(self, store: Materialised) -> None:
        """Show the online store's progress."""
        self._clock.set(store.clock)
        self._moved.set(store.moved_at)
        for group, moment in store.newest.items():
            self._newest.labels(group).set(moment)

    def logged(self, log: PredictionLog, queue_drops: int, outcome_errors: int) -> None:
        """Show the state of the prediction log."""
        for name, counter, now in (
            ("dropped", self._dropped, log.dropped + queue_drops),
            ("errors", self._log_errors, log.errors),
            ("written", self._log_written, log.written),
            ("outcomes", self._outcome_errors, outcome_errors),
        ):
            counter.inc(now - self._counted[name])
            self._counted[name] = now
        self._log_bytes.set(log.size)

    def shadowed(self, shadow: Shadow) -> None:
        """Show how a second model fares."""
        for name, now in (("answers", shadow.answers), ("errors", shadow.errors), ("dropped", shadow.dropped)):
            self._shadow.labels(name).inc(now - self._counted[f"shadow_{name}"])
            self._counted[f"shadow_{name}"] = now

    def _set_columns(self, features: Gauge, score: Gauge, window: str, values: NDArray[np.float64]) -> None:
        for name, value in zip(self._columns[:-1], values.tolist(), strict=False):
            _set(features.labels(name, window), value)
        _set(score.labels(window), float(values[-1]))

    def _describe(
        self, registry: CollectorRegistry, manifest: Mapping[str, Any], catalogue: Catalogue, stage: int
    ) -> None:
        """Facts as labels of a series that is always 1: the library's Info type does not work with several workers."""
        facts = {
            "model_info": {
                "model_version": manifest["model_version"],
                "features_version": catalogue.version,
                "bundle_hash": manifest["bundle_hash"][:16],
            },
            "build_info": {"version": __version__, "python": platform.python_version(), "stage": str(stage)},
        }
        for name, labels in facts.items():
            meaning = "What is served." if name == "model_info" else "What serves it."
            Gauge(name, meaning, list(labels), registry=registry, multiprocess_mode="livemax").labels(**labels).set(1)


def _set(gauge: Gauge, value: float) -> None:
    """Skip NaN: with several workers, one that has seen too little must not replace the figure of one that has not."""
    if SHARED_FOLDER_VARIABLE not in os.environ or not np.isnan(value):
        gauge.set(value)
