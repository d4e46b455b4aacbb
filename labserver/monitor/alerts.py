"""The open alerts, and since when: the same thresholds as the rules for Prometheus, for a dashboard without one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import structlog

from labserver.features.catalogue import Group
from labserver.monitor import thresholds
from labserver.monitor.drift import Finding
from labserver.monitor.materialised import Materialised
from labserver.monitor.quality import Quality


def quality_findings(quality: Quality) -> list[Finding]:
    """Alerts on the model's quality. Drift is not performance: only outcomes show that the model is wrong."""
    found = []
    full = quality.joined >= thresholds.QUALITY_WINDOW
    if full and quality.auc is not None and quality.auc < thresholds.AUC_LEAST:
        found.append(Finding("ModelRanking", "page", f"AUC {quality.auc:.3f} is below {thresholds.AUC_LEAST}."))
    if full and quality.brier is not None and quality.brier > thresholds.BRIER_MOST:
        found.append(Finding("ModelBrier", "page", f"Brier {quality.brier:.3f} is above {thresholds.BRIER_MOST}."))
    error = quality.calibration_error
    if full and error is not None and error > thresholds.CALIBRATION_MOST:
        detail = f"Probabilities are off by {error:.3f} on average, more than {thresholds.CALIBRATION_MOST}."
        found.append(Finding("ModelCalibration", "page", detail))
    if quality.join_ratio is not None and quality.join_ratio < thresholds.JOIN_RATIO_LEAST:
        detail = f"Only {quality.join_ratio:.0%} of the flights that must have landed have an outcome."
        found.append(Finding("LabelJoinStalled", "ticket", detail))
    return found


def disk_findings(problem: str | None, dropping: bool, outcomes_failing: bool) -> list[Finding]:
    """Alerts on failed writes, such as on a full disk. Predictions are still answered."""
    found = []
    if problem:
        found.append(Finding("PredictionLogFailing", "page", f"Predictions are not logged: {problem}."))
    if outcomes_failing:
        found.append(Finding("OutcomesFailing", "page", "Outcomes cannot be written, and are refused."))
    if dropping:
        found.append(Finding("PredictionLogDrops", "ticket", "Predictions are answered and not logged."))
    return found


def stale_findings(store: Materialised, groups: Iterable[Group]) -> list[Finding]:
    """Groups whose newest value is older than their source promises."""
    found = []
    for group in groups:
        if group.freshness and group.name in store.newest:
            hours = (store.clock - store.newest[group.name]) / 3600
            if hours > group.freshness.total_seconds() / 3600:
                detail = f"The newest value of {group.name} is {hours:.1f} h old. Its source is {group.source}."
                found.append(Finding("FeatureStale", "ticket", detail, group.name))
    return found


class GrewLately:
    """Tracks whether a count has grown within the last minute."""

    SECONDS = 60.0

    def __init__(self) -> None:
        self._count, self._grew_at = 0, -math.inf

    def look(self, count: int, now: float) -> bool:
        """Note the count at ``now``, in seconds."""
        if count > self._count:
            self._count, self._grew_at = count, now
        return now - self._grew_at < self.SECONDS


class Alerts:
    """Remembers when each alert began, and logs a line when an alert begins and when it ends."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str | None], tuple[datetime, Finding]] = {}
        self._log: Any = structlog.get_logger()

    def update(self, findings: Iterable[Finding]) -> None:
        """Replace the open alerts by ``findings``."""
        now = datetime.now(UTC)
        found = {(finding.name, finding.feature): finding for finding in findings}
        for key, finding in found.items():
            if key not in self._open:
                self._log.warning("alert", alert=finding.name, severity=finding.severity, detail=finding.detail)
        for name, feature in self._open.keys() - found.keys():
            self._log.info("alert_over", alert=name, feature=feature)
        self._open = {
            key: (self._open[key][0] if key in self._open else now, finding) for key, finding in found.items()
        }

    def shown(self) -> list[dict[str, Any]]:
        """The alerts for ``GET /v1/monitor``: pages first, then the oldest first."""
        listed = sorted(self._open.values(), key=lambda item: (item[1].severity != "page", item[0]))
        return [
            {
                "name": finding.name,
                "severity": finding.severity,
                "feature": finding.feature,
                "since": since.isoformat(timespec="seconds"),
                "detail": finding.detail,
            }
            for since, finding in listed
        ]
