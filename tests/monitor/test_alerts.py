"""The service's own alerts, and since when they are open."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from labserver.features.catalogue import Catalogue
from labserver.monitor import thresholds
from labserver.monitor.alerts import Alerts, GrewLately, disk_findings, quality_findings, stale_findings
from labserver.monitor.drift import Finding
from labserver.monitor.materialised import Materialised
from labserver.monitor.quality import Quality

GOOD = Quality(5000, 5000, 5000, join_ratio=0.99, auc=0.72, brier=0.14, calibration_error=0.02)


def test_a_good_model_raises_nothing_and_neither_does_an_unknown_one() -> None:
    assert not quality_findings(GOOD)
    assert not quality_findings(Quality())
    assert not disk_findings(None, False, False)


@pytest.mark.parametrize(
    ("quality", "name"),
    [
        (replace(GOOD, auc=thresholds.AUC_LEAST - 0.01), "ModelRanking"),
        (replace(GOOD, brier=thresholds.BRIER_MOST + 0.01), "ModelBrier"),
        (replace(GOOD, calibration_error=thresholds.CALIBRATION_MOST + 0.01), "ModelCalibration"),
        (replace(GOOD, join_ratio=thresholds.JOIN_RATIO_LEAST - 0.01), "LabelJoinStalled"),
    ],
)
def test_each_figure_has_its_alert(quality: Quality, name: str) -> None:
    assert [finding.name for finding in quality_findings(quality)] == [name]


def test_two_days_of_storms_are_no_verdict() -> None:
    assert not quality_findings(replace(GOOD, joined=2000, auc=0.4, brier=0.3, calibration_error=0.2))


def test_what_cannot_be_written_is_said() -> None:
    found = disk_findings("database or disk is full", True, True)
    assert [f.name for f in found] == ["PredictionLogFailing", "OutcomesFailing", "PredictionLogDrops"]
    assert "database or disk is full" in found[0].detail


def test_a_group_is_stale_by_its_own_measure(catalogue: Catalogue) -> None:
    clock = 1_000_000.0
    fresh = {group.name: clock for group in catalogue.stored if group.freshness}
    assert not stale_findings(Materialised(clock, 0, fresh), catalogue.stored)
    hours_4 = clock - timedelta(hours=4).total_seconds()
    old = fresh | {"airport_weather": hours_4, "route_month": hours_4}
    assert [f.feature for f in stale_findings(Materialised(clock, 0, old), catalogue.stored)] == ["airport_weather"]


def test_an_alert_keeps_its_beginning_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    alerts = Alerts()
    ticket, page = Finding("B", "ticket", "first"), Finding("A", "page", "x", "visibility")
    alerts.update([ticket])
    [before] = alerts.shown()
    alerts.update([Finding("B", "ticket", "second"), page])
    shown = alerts.shown()
    assert [(alert["name"], alert["feature"]) for alert in shown] == [("A", "visibility"), ("B", None)]
    assert (shown[1]["since"], shown[1]["detail"]) == (before["since"], "second")
    alerts.update([])
    assert alerts.shown() == []
    printed = capsys.readouterr().out
    assert printed.count("alert_over") == 2
    assert printed.count("severity=") == 2  # each beginning once


def test_a_count_that_grew_is_remembered_for_a_minute() -> None:
    growing = GrewLately()
    assert [growing.look(count, now) for count, now in ((0, 0.0), (3, 10.0), (3, 60.0), (3, 71.0), (4, 72.0))] == [
        *(False, True, True, False, True)
    ]
