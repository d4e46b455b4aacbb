from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests
from asking import asking
from awaiting import PATIENCE, until
from services import FLIGHT, Running, own_home, refusal, running, store_of

from exercises.checks.flights import flights_of

pytestmark = pytest.mark.slow


def test_a_stop_under_load_loses_nothing_that_a_balancer_sends(home: Path, tmp_path: Path) -> None:
    """Four clients open a connection a request, and stop once /readyz, asked every 300 ms, says 503."""
    with running(own_home(home, tmp_path), environment={"LABSERVER_DRAIN_SECONDS": "3"}) as service:
        with asking(service.url, pause=0) as asked:
            until(lambda: asked.counts[200] > 40, lambda: asked.counts)
            service.process.terminate()
            time.sleep(0.3)  # a balancer does not ask at the moment of the signal
            while (ready := service.get("/readyz")).status_code == 200:
                time.sleep(0.3)
            assert (ready.status_code, ready.headers["connection"]) == (503, "close")
            assert service.get("/healthz").status_code == 200
        service.process.wait(timeout=PATIENCE)
    assert set(asked.counts) == {200}, asked.counts


def test_before_lesson_1_a_stop_closes_the_port_at_once_and_answers_what_is_in_flight(
    home: Path, tmp_path: Path
) -> None:
    with running(own_home(home, tmp_path), lesson=0) as service:
        answers: list[int] = []

        def ask() -> None:
            answers.append(service.post("/v1/predictions/batch", {"flights": [FLIGHT] * 4}).status_code)

        thread = threading.Thread(target=ask)
        thread.start()
        in_flight = "http_requests_in_flight 2.0"  # with the one that asks
        until(lambda: in_flight in service.get("/metrics").text, "The request has not arrived.")
        service.process.terminate()
        until(lambda: refused(service), "The port is still open.")
        assert not answers
        thread.join(timeout=PATIENCE)
        service.process.wait(timeout=PATIENCE)
    assert answers == [200]


def refused(service: Running) -> bool:
    try:
        service.get("/readyz")
    except requests.ConnectionError:
        return True
    return False


def test_what_the_service_rests_on_must_be_whole(home: Path, tmp_path: Path) -> None:
    folder = own_home(home, tmp_path)
    (folder / "bundle").unlink()
    code, printed = refusal(folder)
    assert (code, "Run `labserver build`" in printed) == (1, True)
    shutil.copytree((home / "bundle").resolve(), folder / "bundle")
    with (folder / "bundle/model.onnx").open("r+b") as file:
        file.write(b"x")
    code, printed = refusal(folder)
    assert (code, "model.onnx was changed. Run `labserver build`" in printed) == (1, True)
    shutil.copyfile(home / "bundle/model.onnx", folder / "bundle/model.onnx")
    (folder / "state").mkdir(exist_ok=True)
    store_of(folder).write_bytes(b"garbage" * 1000)
    code, printed = refusal(folder)
    assert (code, "labserver serve --fresh-store" in printed) == (1, True)
    store_of(folder).unlink()
    (folder / "warehouse.duckdb").unlink()
    (folder / "warehouse.duckdb").write_bytes(b"garbage" * 1000)
    code, printed = refusal(folder, lesson=4)
    assert (code, "labserver build" in printed) == (1, True)


def test_an_unfinished_stage_does_not_face_a_network(home: Path, tmp_path: Path) -> None:
    code, printed = refusal(own_home(home, tmp_path), lesson=8, LABSERVER_HOST="0.0.0.0")
    assert (code, "loopback only" in printed) == (1, True)
    code, printed = refusal(tmp_path, LABSERVER_THREADS="many")
    assert (code, "LABSERVER_THREADS" in printed) == (1, True)


def test_the_key_is_asked_for_everywhere_but_at_the_health_checks(home: Path, tmp_path: Path) -> None:
    with running(own_home(home, tmp_path), environment={"LABSERVER_API_KEY": "s3cret"}) as service:
        wrong = service.post("/v1/predictions", FLIGHT, headers={"X-API-Key": "s3creT"})
        assert [service.post("/v1/predictions", FLIGHT).status_code, wrong.status_code] == [401, 401]
        assert service.get("/v1/model").status_code == 401
        assert service.get("/healthz").status_code == 200
        assert service.post("/v1/predictions", FLIGHT, headers={"X-API-Key": "s3cret"}).status_code == 200


def test_every_stage_answers_and_differs_only_where_its_lesson_is(home: Path, tmp_path: Path) -> None:
    first = flights_of(home / "warehouse.duckdb", "2013-09-01")[:400:40]
    flights = [flight | {"as_of": "2013-09-01T00:00:00-04:00"} for flight in first]
    impossible = {**FLIGHT, "overrides": {"wind_speed": 1048}}
    answers, adjusted, refused = {}, [], {}
    for lesson in range(10):
        with running(own_home(home, tmp_path / str(lesson)), lesson=lesson) as service:
            found = [service.post("/v1/predictions", flight).json() for flight in flights]
            answers[lesson] = [answer["probability"] for answer in found]
            adjusted = [bool(answer["adjusted"]) for answer in found]
            refused[lesson] = service.post("/v1/predictions", impossible).status_code
            assert service.get("/v1/model").json()["stage"] == lesson
    assert 0 < sum(adjusted) < len(adjusted)
    for lesson in range(3, 9):
        assert answers[lesson] == pytest.approx(answers[9], abs=1e-6)
    whole = [number for number, changed in enumerate(adjusted) if not changed]
    assert [answers[2][n] for n in whole] == pytest.approx([answers[9][n] for n in whole], abs=1e-6)
    assert answers[2] != pytest.approx(answers[9], abs=1e-6)  # gaps filled with 0
    assert answers[0] == answers[1] == answers[2]  # asked about now, nobody can serve what comes later
    assert refused == {lesson: 200 if lesson < 4 else 422 for lesson in range(10)}


def test_a_learners_part_answers_in_the_live_service(home: Path, tmp_path: Path) -> None:
    (tmp_path / "lesson_05.py").write_text(
        "class Never:\n    def decide(self, probability):\n        return 'no_warning'\n"
        "def decision(context):\n    return Never()\n"
    )
    environment = {"LABSERVER_PARTS": str(tmp_path), "LABSERVER_COST_MISSED_DELAY": "1e6"}
    with running(own_home(home, tmp_path), environment=environment) as service:
        assert service.get("/v1/model").json()["own_parts"] == ["decision"]
        assert service.post("/v1/predictions", FLIGHT).json()["decision"] == "no_warning"
    with running(own_home(home, tmp_path), environment={"LABSERVER_COST_MISSED_DELAY": "1e6"}) as service:
        assert service.post("/v1/predictions", FLIGHT).json()["decision"] == "warn"


def test_garbage_over_the_store_is_a_503_and_no_crash(home: Path, tmp_path: Path) -> None:
    with running(own_home(home, tmp_path)) as service:
        assert service.post("/v1/predictions", FLIGHT).status_code == 200
        store_of(tmp_path).write_bytes(b"garbage" * 50_000)
        statuses = {service.post("/v1/predictions", FLIGHT).status_code for _ in range(20)}
        assert statuses <= {200, 503}
        assert service.get("/healthz").status_code == 200


def test_replay_serves_the_training_vectors_and_stores_outcomes(home: Path, tmp_path: Path) -> None:
    with running(own_home(home, tmp_path)) as service:
        done = subprocess.run(
            [sys.executable, "-m", "labserver.cli", "replay", "--from", "2013-11-03", "--url", service.url],
            env=os.environ | {"LABSERVER_HOME": str(tmp_path), "COLUMNS": "300"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "Parity: 0 of 902 served vectors differ" in done.stderr
    assert "902 outcomes acknowledged" in done.stderr
