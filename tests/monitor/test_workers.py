"""Several workers, one page: counts add up, the dead are not in flight, and a new start begins at zero."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from awaiting import until
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from services import FLIGHT, Running, own_home, running
from test_live import metrics

from labserver.monitor.workers import SHARED_FOLDER_VARIABLE, share_metrics
from labserver.running.process import free_port

pytestmark = pytest.mark.slow

COUNT = ("http_request_duration_seconds_count", "POST", "/v1/predictions", "200")


def workers(service: Running) -> set[int]:
    """Those that have begun to count, by the files in which they do."""
    return {int(file.stem.rpartition("_")[2]) for file in counting_in(service).glob("gauge_livesum_*.db")}


def counting_in(service: Running) -> Path:
    return Path(psutil.Process(service.process.pid).environ()[SHARED_FOLDER_VARIABLE])


def ask(service: Running, times: int) -> None:
    """Over connections of their own, so that both workers get some."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: service.post("/v1/predictions", FLIGHT).status_code, range(times)))
    assert answers == [200] * times


def test_two_workers_are_one_service(home: Path, tmp_path: Path) -> None:
    folder, port = own_home(home, tmp_path), free_port()
    for start in range(2):
        with running(folder, arguments=["--workers", "2"], port=port) as service:
            assert metrics(service)[COUNT] == 0, f"start {start}"
            ask(service, 60)
            # A worker counts a moment after its answer is out.
            until(lambda: metrics(service)[COUNT] == 60 and metrics(service)["prediction_score_count",] == 60)
            seen = [metrics(service) for _ in range(6)]
            assert {counted[COUNT] for counted in seen} == {60}
            until(lambda: metrics(service)["http_requests_in_flight",] == 1)  # the one that asks
            assert len([name for name, *_ in seen[0] if name == "model_info"]) == 1
            assert not [name for name, *_ in seen[0] if name.startswith("process_")]
            if start == 1:
                after_a_death(service)


def after_a_death(service: Running) -> None:
    before = workers(service)
    assert len(before) == 2
    dying = min(before)
    os.kill(dying, signal.SIGKILL)
    until(lambda: metrics(service) and dying not in workers(service))
    assert metrics(service)[COUNT] >= 60, "what it had counted stays counted"
    until(lambda: metrics(service)["http_requests_in_flight",] == 1)
    until(lambda: len(workers(service)) == 2, "It is not replaced.")


def test_the_folder_in_which_they_count_ends_with_the_service_however_that_ends(home: Path, tmp_path: Path) -> None:
    folder = own_home(home, tmp_path)
    with running(folder, arguments=["--workers", "2"]) as service:
        kept = counting_in(service)
        with running(folder, arguments=["--workers", "2"]) as killed:
            left = counting_in(killed)
            assert kept.is_dir(), "A second service of one home took the folder of the first."
            assert left.is_dir()
            assert left != kept
            killed.process.kill()
            killed.process.wait()
            assert left.is_dir()
        with running(folder):
            assert [kept.is_dir(), left.is_dir()] == [True, False], "Only what nobody uses goes at the next start."
        ask(service, 5)
        assert metrics(service)[COUNT] == 5
    assert not kept.exists()


@pytest.mark.parametrize("count", ["1", "2"])
def test_who_asks_for_openmetrics_gets_the_same_figures_in_it(home: Path, tmp_path: Path, count: str) -> None:
    with running(own_home(home, tmp_path), arguments=["--workers", count]) as service:
        ask(service, 20)
        until(lambda: metrics(service)[COUNT] == 20)
        prometheus = (
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
            "text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
        )
        for accept, kind in (
            (prometheus, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
            ("Application/OpenMetrics-Text", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
            (
                "application/openmetrics-text;version=nonsense",
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            ),
            ("application/openmetrics-text;q=0, */*", CONTENT_TYPE_LATEST),
            ("*/*", CONTENT_TYPE_LATEST),
            ("text/html", CONTENT_TYPE_LATEST),
        ):
            answer = service.get("/metrics", Accept=accept)
            assert (answer.headers["content-type"], answer.headers["vary"]) == (kind, "Accept"), accept
        text = service.get("/metrics", Accept=prometheus).text
        families = {family.name: family for family in text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]
        [counted] = [
            sample.value
            for sample in families["http_request_duration_seconds"].samples
            if (sample.name, *sample.labels.values()) == COUNT
        ]
        assert counted == 20
        assert text.endswith("# EOF\n")


def test_one_worker_counts_in_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SHARED_FOLDER_VARIABLE, "/somebody/else's")
    share_metrics(1)
    assert SHARED_FOLDER_VARIABLE not in os.environ
