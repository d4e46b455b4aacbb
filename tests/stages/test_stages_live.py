"""Behaviour that all stages share, and starts that must fail."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from awaiting import PATIENCE
from services import FLIGHT, Running, own_home, running, store_of

pytestmark = pytest.mark.slow

ID = "0123456789abcdef" * 2


def start(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The service's process. Only for starts that must be refused."""
    return subprocess.run(
        [sys.executable, "-m", "labserver.stages.server"],
        env=os.environ | {"LABSERVER_HOME": str(folder), "LABSERVER_PORT": "0"} | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_no_stage_below_9_faces_a_network(home: Path, tmp_path: Path) -> None:
    folder = own_home(home, tmp_path)
    hosts = [(0, "0.0.0.0"), (4, "::"), (8, "192.0.2.1")]
    with ThreadPoolExecutor(2) as pool:
        refused = pool.map(lambda at: start(folder, LABSERVER_LESSON=str(at[0]), LABSERVER_HOST=at[1]), hosts)
    for (lesson, _), done in zip(hosts, refused, strict=True):
        [line] = done.stderr.splitlines()
        assert (done.returncode, done.stdout) == (1, "")
        assert line.startswith(f"error: Stage {lesson} ")
        assert "loopback only" in line


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000, b"SQLite format 3\x00" + b"\x00" * 5000])
def test_a_store_that_is_not_a_store_is_refused(home: Path, tmp_path: Path, content: bytes) -> None:
    folder = own_home(home, tmp_path)
    (folder / "state").mkdir()
    store_of(folder).write_bytes(content)
    done = start(folder)
    [line] = done.stderr.splitlines()
    assert done.returncode == 1
    assert "labserver serve --fresh-store" in line
    assert store_of(folder).read_bytes() == content


def test_outcomes_that_are_no_database_are_refused_and_kept(home: Path, tmp_path: Path) -> None:
    folder = own_home(home, tmp_path)
    (folder / "state").mkdir()
    (folder / "state/outcomes.db").write_bytes(b"garbage" * 1000)
    done = start(folder)
    [line] = done.stderr.splitlines()
    assert done.returncode == 1
    assert "outcomes.db" in line
    assert (folder / "state/outcomes.db").read_bytes() == b"garbage" * 1000


def refuses_times_at_the_ends_of_the_calendar(service: Running) -> None:
    for field in ("scheduled_departure", "as_of"):
        for time in ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
            answer = service.post("/v1/predictions", {**FLIGHT, field: time})
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field), time


@pytest.mark.parametrize("lesson", [0, 4, 5, 8, 9])
def test_the_interface_is_the_same_at_each_stage(home: Path, tmp_path: Path, lesson: int) -> None:
    with running(own_home(home, tmp_path), lesson=lesson) as service:
        assert set(service.post("/v1/predictions", FLIGHT).json()) == {
            *("id", "probability", "decision", "model_version", "features_version", "adjusted", "stale")
        }
        batch = service.post("/v1/predictions/batch", {"flights": [FLIGHT] * 3}).json()["predictions"]
        assert len({answer["id"] for answer in batch}) == 3
        assert len({answer["probability"] for answer in batch}) == 1
        nothing = {"id": ID, "arrival_delay_minutes": None}
        assert [service.post("/v1/outcomes", nothing).status_code for _ in range(2)] == [202, 202]
        assert service.post("/v1/outcomes", {"id": ID, "arrival_delay_minutes": 0}).status_code == 409
        unknown = service.post("/v1/predictions", {**FLIGHT, "carrier": "ZZ"})
        assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "carrier")
        paths = service.get("/openapi.json").json()["paths"]
        assert {"/v1/predictions", "/v1/predictions/batch", "/v1/outcomes", "/v1/features/vector"} <= set(paths)
        refuses_times_at_the_ends_of_the_calendar(service)
        text = service.logged()
    assert '"fault"' not in text
    assert "Traceback" not in text
