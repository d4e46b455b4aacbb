"""A stop during the start, settings that nobody meant, a supervisor that is killed, a health check with a proxy."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest
from awaiting import PATIENCE, until
from services import own_home, refusal, running

from labserver.running.process import free_port

NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
PROXY = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"), "http://127.0.0.1:9")


def as_process_1() -> tuple[str, ...]:
    """The words that start a command as process 1 of a namespace, as in a container."""
    if shutil.which("unshare") is None or subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode:
        pytest.skip("No namespace of processes can be made here.")
    return NAMESPACE


@pytest.mark.slow
@pytest.mark.parametrize("module", ["labserver", "labserver.cli"])
def test_a_service_that_starts_as_process_1_is_stopped_at_any_moment(home: Path, tmp_path: Path, module: str) -> None:
    words = as_process_1()
    folder, codes = own_home(home, tmp_path), []
    for number in range(12):
        command = [*words, sys.executable, "-m", module, "serve", "--port", str(free_port())]
        environment = os.environ | {"LABSERVER_HOME": str(folder), "LABSERVER_DRAIN_SECONDS": "0"}
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as unshare:
            first = until(lambda: psutil.Process(unshare.pid).children(), "Nothing was started.")[0]
            # Python itself takes some hundredths of a second until it runs the first line of the program.
            time.sleep(0.15 + 0.2 * number)
            first.send_signal(signal.SIGTERM)
            codes.append(unshare.wait(timeout=PATIENCE))
    assert set(codes) <= {0, 128 + signal.SIGTERM, -signal.SIGTERM}, codes
    with running(folder) as service:
        assert service.ready()


@pytest.mark.slow
def test_workers_end_when_their_supervisor_is_killed(home: Path, tmp_path: Path) -> None:
    with running(own_home(home, tmp_path), arguments=["--workers", "2"]) as service:
        started = psutil.Process(service.process.pid).children(recursive=True)
        assert len([process for process in started if "spawn_main" in " ".join(process.cmdline())]) == 2
        service.process.kill()
        _, alive = psutil.wait_procs(started, timeout=PATIENCE)
        assert not alive
    with running(own_home(home, tmp_path / "again"), port=int(service.url.rsplit(":", 1)[1])) as again:
        assert again.ready()


@pytest.mark.parametrize("key", ["", " ", "  key-with-blanks  ", "schlüssel", "two\nlines"])
def test_a_key_that_nobody_meant_starts_nothing_and_is_not_printed(home: Path, tmp_path: Path, key: str) -> None:
    code, said = refusal(own_home(home, tmp_path), LABSERVER_API_KEY=key)
    assert code == 1
    assert "LABSERVER_API_KEY is not usable" in said
    assert "not empty" in said
    assert not key.strip() or key.strip() not in said


def test_an_address_that_kubernetes_sets_is_no_port(home: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "labserver", "clock"]
    done = subprocess.run(
        command,
        env=os.environ | {"LABSERVER_HOME": str(own_home(home, tmp_path)), "LABSERVER_PORT": "tcp://10.96.0.1:8000"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "enableServiceLinks: false" in done.stderr


def healthy(environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "labserver.health"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.slow
def test_the_health_check_of_the_image_asks_no_proxy(home: Path, tmp_path: Path) -> None:
    with running(own_home(home, tmp_path)) as service:
        port = {"LABSERVER_PORT": service.url.rsplit(":", 1)[1]}
        assert healthy(port | PROXY).returncode == 0
    done = healthy(port | PROXY)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "unhealthy: " in done.stderr
