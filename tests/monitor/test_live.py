"""Monitoring of a real service: what a replay leaves behind, what a kill costs, and a disk that is full."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from awaiting import until
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from services import FLIGHT, Running, own_home, running

from labserver.monitor.monitor import ModelMonitor
from labserver.monitor.status import unknown
from labserver.pipeline.incidents import incident
from labserver.pipeline.replay import ReplaySummary, replay
from labserver.settings import Settings

pytestmark = pytest.mark.slow

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def service(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(own_home(home, tmp_path_factory.mktemp("live"))) as started:
        yield started


def play(service: Running, first: date, days: int, **options: Any) -> ReplaySummary:
    return replay(Settings(home=service.home), service.url, first, days, 0, True, QUIET, **options)


def metrics(service: Running) -> dict[tuple[str, ...], float]:
    """Every sample, by its name and the values of its labels in the order of their names."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(service.get("/metrics").text)
        for sample in family.samples
    }


def alerts(service: Running) -> list[tuple[str, str | None]]:
    return [(alert["name"], alert["feature"]) for alert in service.get("/v1/monitor").json()["alerts"]]


def test_a_quiet_day_is_watched_and_an_incident_is_found_within_the_next(service: Running) -> None:
    quiet = play(service, date(2013, 9, 3), 1, sample=0.05)
    assert (quiet.mismatches, quiet.altered) == (0, None)
    assert 0 < quiet.compared < quiet.flights / 10
    shown = until(lambda: (m := service.get("/v1/monitor").json())["quality"]["joined"] == quiet.flights and m)
    assert shown["alerts"] == []
    assert (shown["stage"], shown["predictions"]["total"]) == (9, quiet.flights)
    assert (shown["quality"]["outcomes"], shown["quality"]["join_ratio"] or 1.0) == (quiet.outcomes, 1.0)
    assert shown["requests"]["total"] > quiet.outcomes
    assert len(shown["recent"]) == 20
    assert {part["part"] for part in shown["parts"] if part["lesson"] == 9} == {"drift", "monitor", "shadow"}

    broken = play(service, date(2013, 9, 4), 1, sample=0.05, incident=incident("visibility-km"))
    assert (broken.mismatches, broken.altered) == (0, "visibility")
    assert until(lambda: alerts(service)) == [("FeatureOutOfRange", "visibility")]
    counted = metrics(service)
    told = ("http_request_duration_seconds_count", "POST", "/v1/outcomes", "202")
    assert counted["feature_out_of_range_total", "visibility"] > broken.flights / 2
    assert counted["feature_out_of_range_total", "pressure"] == 0
    assert counted[told] == quiet.outcomes + broken.outcomes
    assert [feature["state"] for feature in service.get("/v1/monitor").json()["features"]].count("alert") == 1


def test_a_thin_replay_asks_about_few_flights_in_the_same_world(home: Path, tmp_path: Path) -> None:
    with running(own_home(home, tmp_path)) as thin:
        seen = play(thin, date(2013, 9, 5), 2, every=50)
    assert 30 < seen.flights < 50  # of about 2,000
    assert (seen.compared, seen.mismatches, seen.outcomes) == (seen.flights, 0, seen.flights)


def test_the_label_of_a_route_is_its_template(service: Running) -> None:
    for path in ("/v1/nothing/here", "/metrics/../x", "/%00"):
        service.get(path)
    service.post("/v1/predictions", {})
    routes = {labels[2] for name, *labels in metrics(service) if name == "http_request_duration_seconds_bucket"}
    assert "unmatched" in routes
    assert not [route for route in routes if "nothing" in route or "%" in route]


def test_a_kill_costs_no_row_that_the_service_has_counted(home: Path, tmp_path: Path) -> None:
    """Rows are written, and counted, four times a second, also while predictions go on."""
    ids: list[str] = []
    with running(own_home(home, tmp_path)) as service:

        def written() -> float:
            ids.append(service.post("/v1/predictions", FLIGHT).json()["id"])
            return metrics(service)["prediction_log_rows_total",]

        until(lambda: written() > 100, pause=0)
        counted = int(written())
        os.kill(service.process.pid, signal.SIGKILL)
        service.process.wait()
    with closing(sqlite3.connect(tmp_path / "state/predictions.db")) as db:
        logged = {row[0] for row in db.execute("SELECT id FROM predictions")}
    assert counted > 100
    assert set(ids[:counted]) <= logged
    assert ModelMonitor.SECONDS < 1


def test_a_full_disk_is_reported_and_predictions_go_on(home: Path, tmp_path: Path) -> None:
    """No file may grow beyond 2 MB, so the log can hold some 8,000 predictions; the service is to answer 15,000."""
    folder = own_home(home, tmp_path)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with running(
        folder,
        environment={"LABSERVER_LOG_LEVEL": "warning"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard)),
    ) as service:
        for _ in range(15):
            assert service.post("/v1/predictions/batch", {"flights": [FLIGHT] * 1000}).status_code == 200
        until(lambda: ("PredictionLogFailing", None) in alerts(service))
        assert service.post("/v1/predictions", FLIGHT).status_code == 200
        assert metrics(service)["prediction_log_write_errors_total",] > 0
        assert service.get("/readyz").status_code == 200
    assert "PredictionLogFailing" in service.log.read_text()


def test_below_lesson_9_there_are_requests_and_nothing_of_the_model(home: Path, tmp_path: Path) -> None:
    with running(own_home(home, tmp_path), lesson=8) as service:
        assert service.post("/v1/predictions", FLIGHT).status_code == 200
        shown = service.get("/v1/monitor").json()
        assert {name: shown[name] for name in unknown()} == unknown()
        assert shown["clock"] == "2013-09-01T04:00:00+00:00"
        assert shown["requests"]["total"] >= 1
        names = {name for name, *_ in metrics(service)}
    assert "http_request_duration_seconds_count" in names
    assert not [name for name in names if name.startswith(("feature_", "model_", "prediction"))]
    assert not (tmp_path / "state/predictions.db").exists()
