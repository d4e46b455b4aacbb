"""Whatever talks to the service finds the right one, and refuses one that is not of its home folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from services import FLIGHT, Running, own_home, running

from labserver.errors import LabError
from labserver.homes import identity
from labserver.model.bundle import load_bundle
from labserver.running import announcement
from labserver.running.announcement import Announcement
from labserver.running.client import Client, check_same_home
from labserver.running.process import free_port
from labserver.settings import Settings

pytestmark = pytest.mark.slow

REPLAY = [sys.executable, "-m", "labserver", "replay", "--from", "2013-09-02", "--every", "40"]


@pytest.fixture(scope="module")
def service(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(own_home(home, tmp_path_factory.mktemp("home"))) as started:
        yield started


def replay(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if name not in {"LABSERVER_URL", "LABSERVER_PORT"}}
    return subprocess.run(
        [*REPLAY, *arguments],
        env=variables | {"LABSERVER_HOME": str(folder), "COLUMNS": "300"} | environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def predictions(service: Running) -> int:
    return int(service.get("/v1/monitor").json()["predictions"]["total"])


def test_replay_finds_the_service_by_variable_by_announcement_and_by_port(service: Running, tmp_path: Path) -> None:
    runtime = {"JUPYTER_RUNTIME_DIR": str(tmp_path)}
    by_variable = replay(service.home, LABSERVER_URL=f"{service.url}/", LABSERVER_PORT=str(free_port()), **runtime)
    assert by_variable.returncode == 0, by_variable.stderr
    assert "Parity: 0 of" in by_variable.stderr

    by_port = replay(service.home, LABSERVER_PORT=service.url.rpartition(":")[2], **runtime)
    assert by_port.returncode == 0, by_port.stderr

    bundle = load_bundle(service.home / "bundle").manifest["bundle_hash"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
        announcement.announce(Announcement(os.getpid(), str(service.home.resolve()), bundle, service.url))
    announced = replay(service.home, LABSERVER_PORT=str(free_port()), **runtime)
    assert announced.returncode == 0, announced.stderr

    named = replay(service.home, "--url", service.url, LABSERVER_URL=f"http://127.0.0.1:{free_port()}", **runtime)
    assert named.returncode == 0, named.stderr
    nobody = replay(service.home, LABSERVER_URL=f"http://127.0.0.1:{free_port()}", **runtime)
    assert nobody.returncode == 1
    assert "Start one with `lab start` or `labserver serve`." in nobody.stderr


def test_replay_asks_nothing_of_a_service_of_another_home(service: Running, home: Path, tmp_path: Path) -> None:
    other = own_home(home, tmp_path / "home")
    (other / "state").mkdir()
    before = predictions(service)
    done = replay(other, "--url", service.url)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: The service at {service.url} uses a different home folder than this command")
    assert "Parity" not in done.stderr
    assert predictions(service) == before
    assert not list((other / "state").iterdir())  # its clock was not moved


def test_replay_refuses_a_service_that_was_started_before_the_last_build(
    service: Running, home: Path, tmp_path: Path
) -> None:
    built_since = tmp_path / "home"
    built_since.mkdir()
    (built_since / "state").symlink_to(service.home / "state")
    manifest = json.loads((home / "bundle/manifest.json").read_bytes())
    assert identity(built_since / "state") == identity(service.home / "state")
    client = Client(service.url, None)
    same = Settings(home=service.home)
    check_same_home(client, same)
    with pytest.MonkeyPatch.context() as patch:
        newer = type("Newer", (), {"manifest": manifest | {"bundle_hash": "newer"}})
        patch.setattr("labserver.running.client.load_bundle", lambda path: newer)
        with pytest.raises(LabError, match=r"was started before the last `labserver build`\. Start it again"):
            check_same_home(client, same)


class Stranger(BaseHTTPRequestHandler):
    """Some other program on the port."""

    answers: ClassVar[dict[str, tuple[int, bytes]]] = {}

    def do_GET(self) -> None:
        status, body = self.answers.get(self.path, (404, b"{}"))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Says nothing."""


@pytest.mark.parametrize(
    "answer", [(200, b"<p>Hello</p>"), (200, b"[1]"), (200, b"{}"), (404, b"not here"), (500, b"")]
)
def test_a_stranger_on_the_port_is_told_from_the_service(
    home: Path, answer: tuple[int, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stranger, "answers", {"/v1/monitor": answer})
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = Client(f"http://127.0.0.1:{server.server_port}", None)
        with pytest.raises(LabError, match="is not a service of this course"):
            check_same_home(client, Settings(home=home))
        server.shutdown()


def test_a_key_that_is_missing_is_named(home: Path, tmp_path: Path) -> None:
    with running(own_home(home, tmp_path), environment={"LABSERVER_API_KEY": "sesame"}) as locked:
        done = replay(tmp_path, "--url", locked.url)
        assert done.stderr == f"error: The service at {locked.url} needs a key. Set LABSERVER_API_KEY to it.\n"
        assert replay(tmp_path, "--url", locked.url, LABSERVER_API_KEY="sesame").returncode == 0


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "localhost", "ftp://x", "http://", "http://a b"])
def test_what_is_no_address_is_named(url: str) -> None:
    with pytest.raises(LabError, match=r"is not an address\. Write it as http://127\.0\.0\.1:8000\."):
        Client(url, None)


def test_homes_are_told_apart_and_links_to_one_are_not(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    (tmp_path / "link").symlink_to(first)
    assert identity(first) == identity(tmp_path / "link") != identity(second)
    assert len(identity(first)) == 16
    assert identity(tmp_path / "nothing") == ""


def test_the_clock_is_shown_and_set_back_under_a_running_service(service: Running) -> None:
    def clock(*moment: str) -> str:
        command = [sys.executable, "-m", "labserver", "clock", *moment]
        environment = os.environ | {"LABSERVER_HOME": str(service.home)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == (0 if done.stdout else 1)
        return done.stdout or done.stderr

    assert clock("2013-11-05T06:30").startswith("The clock is at 2013-11-05 06:30 in New York.")
    past = {**FLIGHT, "scheduled_departure": "2013-11-05T06:00:00-05:00"}
    assert service.post("/v1/predictions", past).status_code == 422
    assert clock("2013-09-01").startswith("The clock is at 2013-09-01 00:00 in New York.")
    answer = service.post("/v1/predictions", FLIGHT)
    assert answer.status_code == 200
    assert clock() == "The clock is at 2013-09-01 00:00 in New York. The service answers about flights after it.\n"
    assert clock("2014-01-01").startswith("error: 2014-01-01 is outside the data.")
    assert clock("noon") == "error: 'noon' is not a moment. Write it as 2013-09-01 or 2013-09-01T08:30.\n"
