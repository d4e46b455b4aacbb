"""A disk that takes no more: the kernel is told that the service's files may not grow."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
import requests
from asking import asking, metrics, ready, shown, wait_for
from awaiting import PATIENCE
from needed import absent
from services import Running, end, own_home, running, store_of
from table import Note

from labserver.running.process import free_port

WHOLE = resource.RLIM_INFINITY
FAILING = {"PredictionLogFailing", "OutcomesFailing"}


def limit_files(service: Running, size: int) -> None:
    """Limit the size of the service's files in bytes. Python ignores the signal, so writes fail with EFBIG."""
    if not hasattr(resource, "prlimit"):
        absent("Limits of a running process can be set on Linux alone. Run this test there.")
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (size, WHOLE))


def tell(service: Running) -> int:
    body: dict[str, str | float] = {"id": uuid.uuid4().hex, "arrival_delay_minutes": 7.0}
    return requests.post(service.url + "/v1/outcomes", json=body, timeout=PATIENCE).status_code


def alerts(service: Running) -> set[str]:
    return {alert["name"] for alert in service.get("/v1/monitor").json()["alerts"]}


def test_predictions_go_on_while_the_disk_is_full_and_outcomes_are_refused(
    home: Path, tmp_path: Path, full: bool, note: Note
) -> None:
    enough = 2_000 if full else 300
    with running(own_home(home, tmp_path)) as service:
        told = [tell(service) for _ in range(5)]
        limit_files(service, 4096)
        with asking(service.url, 3) as asked:
            during = [tell(service) for _ in range(20)]
            wait_for(lambda: alerts(service) >= FAILING)
            wait_for(lambda: asked.total > enough)
            page = metrics(service.url)
        assert ready(service.url)
        limit_files(service, WHOLE)
        wait_for(lambda: tell(service) == 202)
        written = metrics(service.url)["prediction_log_rows_total"]
        wait_for(lambda: metrics(service.url)["prediction_log_rows_total"] > written or written >= asked.total)
        wait_for(lambda: metrics(service.url)["prediction_log_rows_total"] == asked.total)
    with closing(sqlite3.connect(tmp_path / "state/predictions.db")) as db:
        [(logged,)] = db.execute("SELECT count(*) FROM predictions").fetchall()
    false = sum(status == 202 for status in during)
    others = asked.total - asked.counts[200]
    note(
        "disk full: predictions",
        asked.total,
        others,
        f"{shown(asked.counts)}; {page['prediction_log_write_errors_total']:.0f} failed writes counted, "
        f"alerts {', '.join(sorted(FAILING))}; {logged:,} rows in the log once there was room",
    )
    note("disk full: outcomes", len(during), false, f"{during.count(503)} answered with 503, 0 with 202")
    assert told == [202] * 5
    assert (others, set(during)) == (0, {503})
    assert page["prediction_log_write_errors_total"] > 0
    assert page["outcome_write_errors_total"] > 0
    assert logged == asked.total


def test_predictions_go_on_when_the_log_cannot_be_written(home: Path, tmp_path: Path, note: Note) -> None:
    """Standard output is a device that is always full."""
    if not Path("/dev/full").exists():
        absent("There is no /dev/full here. Run this test on Linux.")
    port = free_port()
    environment = os.environ | {"LABSERVER_HOME": str(own_home(home, tmp_path)), "LABSERVER_DRAIN_SECONDS": "0"}
    command = [sys.executable, "-m", "labserver.cli", "serve", "--port", str(port)]
    with Path("/dev/full").open("wb") as device, (tmp_path / "errors").open("wb") as errors:
        process = subprocess.Popen(command, env=environment, stdout=device, stderr=errors)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: ready(url))
        with asking(url, 2) as asked:
            wait_for(lambda: asked.counts[200] > 50)
            store_of(tmp_path).rename(tmp_path / "state/elsewhere.db")
            wait_for(lambda: asked.counts[503] > 50)
            (tmp_path / "state/elsewhere.db").rename(store_of(tmp_path))
            wait_for(lambda: ready(url))
    finally:
        code = end(process)
    others = asked.total - asked.counts[200] - asked.counts[503]
    note("the log's disk full, and a fault that should be logged", asked.total, others, shown(asked.counts))
    assert others == 0, asked.counts
    assert asked.counts[200] > 0 < asked.counts[503]
    assert code in (0, -15)


MOUNT = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@"')
"""Starts a command with a small disk of its own in place of a folder."""


def fill(disk: Path) -> None:
    """Leave not one byte."""
    with (disk / "filling").open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)
    assert shutil.disk_usage(disk).free == 0


def count_anew(service: Running) -> list[int]:
    """Statuses of requests that begin new series in whichever worker gets them: those need room."""
    methods = ("GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW")
    paths = ("/nothing", "/v1/predictions", "/v1/outcomes", "/v1/model")
    return [
        requests.request(method, service.url + path, timeout=PATIENCE).status_code
        for _ in range(6)
        for path in paths
        for method in methods
    ]


def test_a_full_disk_ends_none_of_several_workers(home: Path, tmp_path: Path, full: bool, note: Note) -> None:
    state = own_home(home, tmp_path) / "state"
    state.mkdir(exist_ok=True)
    if shutil.which("unshare") is None or subprocess.run([*MOUNT, str(state), "true"], check=False).returncode:
        pytest.skip("No folder can be mounted here.")
    enough = 3_000 if full else 400
    program = [*MOUNT, str(state), sys.executable, "-m", "labserver.cli", "serve"]
    with running(tmp_path, program=program, arguments=["--workers", "2"]) as service:
        wait_for(lambda: service.log.read_text().count("Application startup complete.") == 2)
        before, first = metrics(service.url), serving(service)
        assert len(first) == 2
        fill(Path(f"/proc/{service.process.pid}/root{state}"))
        with asking(service.url, 3) as asked:
            others = count_anew(service)
            wait_for(lambda: asked.total > enough)
        page, after = metrics(service.url), serving(service)
        os.kill(min(first), signal.SIGKILL)  # a worker that dies meanwhile is replaced, without room
        wait_for(lambda: service.log.read_text().count("Application startup complete.") == 3)
        assert len(serving(service)) == 2
    lost = asked.total - asked.counts[200] + sum(status >= 500 for status in others)
    note(
        "disk full, two workers",
        asked.total + len(others),
        lost + len(first - after),
        f"{shown(asked.counts)}; {len(first - after)} workers ended",
    )
    assert (lost, after) == (0, first)
    assert page["prediction_score_count"] > before.get("prediction_score_count", 0)


def serving(service: Running) -> set[int]:
    """The processes of its workers."""
    children = psutil.Process(service.process.pid).children()
    living = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    return {child.pid for child in living if "spawn_main" in " ".join(child.cmdline())}
