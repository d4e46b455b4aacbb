"""The monitor with the real service behind it, in one process: what is counted, and that nothing it meets stops it."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from services import own_home

from labserver.errors import Refused
from labserver.features.flight import Flight
from labserver.monitor.drift import Judgement
from labserver.monitor.monitor import ModelMonitor, Watched
from labserver.monitor.observed import ObservedService
from labserver.monitor.outcomes import OutcomeStore
from labserver.monitor.prometheus import new_registry
from labserver.monitor.status import unknown
from labserver.monitor.tally import Tally
from labserver.parts import assemble
from labserver.settings import Settings
from labserver.stages.contents import parts_of_stage

FLIGHT = Flight("UA", 1545, "EWR", "ORD", "N14228", datetime.fromisoformat("2013-09-01T05:30:00-04:00"))
Make = Callable[..., tuple[ObservedService, ModelMonitor, CollectorRegistry]]


@pytest.fixture
def make(home: Path, tmp_path: Path) -> Iterator[Make]:
    """A watched service; its monitor's thread is not started, so that a test looks when it wants to."""
    closing: list[Any] = []

    def make(**changed: Any) -> tuple[ObservedService, ModelMonitor, CollectorRegistry]:
        settings = Settings(home=own_home(home, tmp_path / "home"))
        parts = parts_of_stage(9)
        context, service = assemble(parts, settings)
        outcomes, registry = OutcomeStore(settings.outcomes, max_days=90), new_registry()
        assert parts.drift
        watched = Watched(settings, context.bundle, context.catalogue, registry, outcomes, parts.drift(context))
        monitor = ModelMonitor(replace(watched, **changed))
        closing.extend([monitor, outcomes])
        return ObservedService(service, monitor), monitor, registry

    yield make
    for item in closing:
        item.close()


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    found = registry.get_sample_value(name, labels)
    assert found is not None, name
    return found


def feature(monitor: ModelMonitor, name: str) -> dict[str, Any]:
    [shown] = [shown for shown in monitor.status()["features"] if shown["name"] == name]
    return dict(shown)


def test_every_answer_is_counted_logged_and_shown(make: Make, tmp_path: Path) -> None:
    service, monitor, registry = make()
    answers = [service.predict(FLIGHT), *service.predict_each([FLIGHT, replace(FLIGHT, tailnum=None)])]
    monitor.round()
    warned = sum(answer.decision == "warn" for answer in answers if not isinstance(answer, Refused))
    assert value(registry, "predictions_total", decision="warn") == warned
    assert value(registry, "predictions_total", decision="no_warning") == 3 - warned
    assert value(registry, "prediction_score_count") == 3
    assert value(registry, "feature_missing_total", feature="plane_age") == 1
    assert value(registry, "prediction_log_rows_total") == 3
    with closing(sqlite3.connect(tmp_path / "home/state/predictions.db")) as db:
        logged = [row[0] for row in db.execute("SELECT id FROM predictions ORDER BY n")]
    assert logged == [answer.id for answer in answers if not isinstance(answer, Refused)]
    shown = monitor.status()
    assert [recent["id"] for recent in shown["recent"]] == logged[::-1]
    assert shown["predictions"]["total"] == 3
    assert sum(shown["predictions"]["shares"]) == pytest.approx(1, abs=0.01)
    assert feature(monitor, "plane_age")["missing"] == 1
    assert feature(monitor, "plane_age")["last"] is None
    json.dumps(shown, allow_nan=False)


def test_a_value_beyond_training_is_clipped_and_one_that_cannot_be_is_refused_and_both_are_counted(make: Make) -> None:
    service, monitor, registry = make()
    service.predict(replace(FLIGHT, overrides={"wind_speed": 149.0}))
    with pytest.raises(Refused):
        service.predict(replace(FLIGHT, overrides={"wind_speed": 1048.0}))
    _, refused = service.predict_each([FLIGHT, replace(FLIGHT, overrides={"visibility": 16.09})])
    assert isinstance(refused, Refused)
    with pytest.raises(Refused):
        service.predict(replace(FLIGHT, overrides={"made_up_by_a_client": 1.0}))
    monitor.round()
    assert value(registry, "feature_clipped_total", feature="wind_speed") == 1
    assert value(registry, "feature_clipped_total", feature="humidity") == 0
    assert value(registry, "feature_rejected_total", feature="wind_speed") == 1
    assert value(registry, "feature_rejected_total", feature="visibility") == 1
    assert value(registry, "prediction_score_count") == 2
    assert registry.get_sample_value("feature_rejected_total", {"feature": "made_up_by_a_client"}) is None


def test_stale_features_are_counted(make: Make) -> None:
    service, monitor, registry = make()
    later = FLIGHT.scheduled_departure + timedelta(days=40)
    answer = service.predict(replace(FLIGHT, scheduled_departure=later))
    assert "humidity" in answer.stale
    monitor.round()
    assert value(registry, "feature_stale_total", feature="humidity") == 1
    assert value(registry, "feature_stale_total", feature="distance") == 0


def test_a_request_never_waits_for_the_monitor(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that do not fit into the queue are counted and reported, and the requests are still answered."""
    service, monitor, registry = make()
    monkeypatch.setattr(ModelMonitor, "QUEUE", 5)
    answers = [service.predict(FLIGHT) for _ in range(12)]
    assert all(answer.probability for answer in answers)
    monitor.round()
    assert value(registry, "prediction_score_count") == 5
    assert value(registry, "prediction_log_dropped_total") == 7
    assert "PredictionLogDrops" in {alert["name"] for alert in monitor.status()["alerts"]}


class Raising:
    def judge(self, today: Tally, days: Sequence[Tally]) -> Judgement:
        raise RuntimeError("a learner's mistake")


def test_a_detector_that_raises_does_not_stop_the_watch(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelMonitor, "JUDGE_SECONDS", 0.0)
    service, monitor, registry = make(detector=Raising())
    for _ in range(3):
        service.predict(FLIGHT)
        monitor.round()
    assert value(registry, "prediction_log_rows_total") == 3
    [alert] = monitor.status()["alerts"]
    assert (alert["name"], alert["detail"]) == (
        "DetectorFailing",
        "The detector fails: RuntimeError: a learner's mistake",
    )


def test_what_waits_when_the_service_stops_is_written(make: Make, tmp_path: Path) -> None:
    service, monitor, _ = make()
    monitor.start()
    for _ in range(500):
        service.predict(FLIGHT)
    monitor.close()
    with closing(sqlite3.connect(tmp_path / "home/state/predictions.db")) as db:
        assert db.execute("SELECT count(*) FROM predictions").fetchone() == (500,)
    assert not [thread for thread in threading.enumerate() if thread.name == "monitor"]


def test_the_same_keys_are_there_when_nobody_watches(make: Make) -> None:
    _, monitor, _ = make()
    watched, unwatched = monitor.status(), unknown()
    assert watched.keys() == unwatched.keys()
    for part in ("predictions", "quality"):
        assert watched[part].keys() == unwatched[part].keys()


def test_every_series_of_the_model_exists_from_the_start(make: Make) -> None:
    _, monitor, registry = make()
    names = [shown["name"] for shown in monitor.status()["features"]]
    for kind in ("missing", "out_of_range", "clipped", "rejected", "stale"):
        assert [value(registry, f"feature_{kind}_total", feature=name) for name in names] == [0] * len(names)
    for name in ("model_auc", "model_brier_score", "model_calibration_error", "label_join_ratio"):
        assert np.isnan(value(registry, name))
    for window in ("1d", "28d"):
        assert all(np.isnan(value(registry, "feature_drift_score", feature=n, window=window)) for n in names)
