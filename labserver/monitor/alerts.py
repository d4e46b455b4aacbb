"""What is wrong now, and since when: the same limits as the rules for Prometheus, for a dashboard without one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import structlog

from labserver.monitor import thresholds
from labserver.monitor.drift import Finding
from labserver.monitor.predictions import PredictionLog
from labserver.monitor.quality import Quality


def quality_findings(quality: Quality) -> list[Finding]:
    """What the outcomes say about the model. Drift is not performance: these alone say that the model is wrong."""
    found = []
    if quality.auc is not None and quality.auc < thresholds.AUC_LEAST:
        found.append(Finding("ModelRanking", "page", f"AUC {quality.auc:.3f} is below {thresholds.AUC_LEAST}."))
    if quality.brier is not None and quality.brier > thresholds.BRIER_MOST:
        found.append(Finding("ModelBrier", "page", f"Brier {quality.brier:.3f} is above {thresholds.BRIER_MOST}."))
    error = quality.calibration_error
    if error is not None and error > thresholds.CALIBRATION_MOST:
        detail = f"Probabilities are off by {error:.3f} on average, more than {thresholds.CALIBRATION_MOST}."
        found.append(Finding("ModelCalibration", "page", detail))
    if quality.join_ratio is not None and quality.join_ratio < thresholds.JOIN_RATIO_LEAST:
        detail = f"Only {quality.join_ratio:.0%} of the flights that must have landed have an outcome."
        found.append(Finding("LabelJoinStalled", "ticket", detail))
    return found


def log_findings(log: PredictionLog, drops: int) -> list[Finding]:
    """What keeps predictions from being logged. They are answered all the same."""
    found = []
    if log.problem:
        found.append(Finding("PredictionLogFailing", "page", f"Predictions are not logged: {log.problem}."))
    if drops:
        found.append(Finding("PredictionLogDrops", "ticket", f"{drops:,} predictions were not logged."))
    return found


class Alerts:
    """Remembers since when, and writes a line to the log when something begins and when it ends."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str | None], tuple[datetime, Finding]] = {}
        self._log: Any = structlog.get_logger()

    def update(self, findings: Iterable[Finding]) -> None:
        """Replace what is open by ``findings``."""
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
        """For ``GET /v1/monitor``: pages first, then the oldest first."""
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
