"""A service listens on the port that is set or fails; without one, it takes a free port beside another service."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
import requests
import uvloop
from awaiting import PATIENCE
from services import own_home, running

from labserver.api.listening import BACKLOG, address, bind, bind_for, handles
from labserver.errors import LabError
from labserver.running.process import free_port
from labserver.settings import Settings

pytestmark = pytest.mark.slow

SERVE = [sys.executable, "-m", "labserver", "serve"]


def refused(home: Path, *arguments: str, **environment: str) -> str:
    """The whole output of a service that must not start."""
    variables = {name: value for name, value in os.environ.items() if name != "LABSERVER_PORT"}
    done = subprocess.run(
        [*SERVE, *arguments],
        env=variables | {"LABSERVER_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    return done.stderr


def test_a_taken_port_that_was_asked_for_is_one_line(home: Path, tmp_path: Path) -> None:
    folder = own_home(home, tmp_path / "home")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        sentence = f"error: Port {port} of 127.0.0.1 is taken by another program. Choose another with --port; "
        for said in (
            refused(folder, "--port", port),
            refused(folder, "--lesson", "3", LABSERVER_PORT=port),
            refused(folder, "--port", port, "--workers", "2"),
        ):
            assert said == f"{sentence}--port 0 takes any.\n"
    assert not (folder / "state").exists()  # nothing was touched for a service that could not be


def test_an_address_of_another_machine_is_one_line(home: Path, tmp_path: Path) -> None:
    said = refused(own_home(home, tmp_path), "--host", "192.0.2.1")
    assert said == (
        "error: 192.0.2.1 is not an address of this machine. Use --host 127.0.0.1, or 0.0.0.0 for all of them.\n"
    )


def test_a_network_without_a_key_is_one_line_unless_it_is_meant(home: Path, tmp_path: Path) -> None:
    folder = own_home(home, tmp_path)
    for host in ("0.0.0.0", "::"):
        said = refused(folder, "--host", host, "--port", "0")
        assert said == (
            f"error: At {host} anyone in the network may use the service: there is no key. Set LABSERVER_API_KEY to a "
            "long random text, or say --open.\n"
        )
    for arguments, environment, warned in (
        (["--host", "0.0.0.0", "--open"], {}, 1),
        (["--host", "0.0.0.0"], {"LABSERVER_API_KEY": "long"}, 0),
        ([], {"LABSERVER_HOST": "0.0.0.0"}, 1),  # an image: its engine says who reaches it
        (["--host", "127.0.0.1"], {}, 0),
    ):
        with running(folder, environment=environment, arguments=arguments) as service:
            assert sum('"no_key"' in line for line in service.lines()) == warned


def test_a_service_whose_bundle_is_missing_says_one_line(tmp_path: Path) -> None:
    said = refused(tmp_path, "--port", "0")
    assert said.count("\n") == 1
    assert said.startswith("error: There is no bundle at ")


def test_a_port_that_nobody_asked_for_gives_way(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LABSERVER_PORT", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        usual = int(taken.getsockname()[1])
        with bind_for(Settings(port=usual)) as bound:
            other = int(bound.getsockname()[1])
            assert other != usual
            told = f"Port {usual} is taken. This service uses a free one: http://127.0.0.1:{other}/.\n"
            assert capsys.readouterr().err == told
        with pytest.raises(LabError, match="taken"):
            bind_for(Settings(port=usual), usual)
        monkeypatch.setenv("LABSERVER_PORT", str(usual))
        with pytest.raises(LabError, match="taken"):
            bind_for(Settings(port=usual))
        monkeypatch.delenv("LABSERVER_PORT")
        with socket.create_server(("0.0.0.0", 0)) as open_to_all, pytest.raises(LabError, match="taken"):
            bind_for(Settings(port=int(open_to_all.getsockname()[1]), host="0.0.0.0"))
    with bind_for(Settings(port=usual)) as bound:
        assert bound.getsockname()[1] == usual
    assert capsys.readouterr().err == ""


def test_addresses_are_those_that_a_client_uses() -> None:
    for host, shown in (("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]")):
        with bind(host, 0) as bound:
            assert address(bound) == f"http://{shown}:{bound.getsockname()[1]}"
    with pytest.raises(LabError, match="not an address"):
        bind("my-laptop", 0)


def ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=20).status_code == 200
    except requests.ConnectionError:
        return False


@pytest.mark.parametrize("workers", [1, 2])
def test_beside_a_running_service_another_one_serves_from_a_free_port(home: Path, tmp_path: Path, workers: int) -> None:
    """As a user has it: the usual port, 8000, is taken, by this test unless somebody else has it already."""
    usual = socket.socket()
    usual.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        usual.bind(("127.0.0.1", 8000))
        usual.listen()
    except OSError:
        usual.close()
    environment = {name: value for name, value in os.environ.items() if name != "LABSERVER_PORT"}
    environment |= {"LABSERVER_HOME": str(own_home(home, tmp_path)), "LABSERVER_DRAIN_SECONDS": "0"}
    command = [*SERVE, "--workers", str(workers)]
    log = tmp_path / "log"
    with usual, log.open("wb") as output:
        service = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=output)
        try:
            deadline = time.monotonic() + PATIENCE
            while not (
                found := re.search(r"Port 8000 is taken. This service uses a free one: (\S+)/\.\n", log.read_text())
            ):
                assert service.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            while not ready(found[1]):
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            family = psutil.Process(service.pid).children(recursive=True)
        finally:
            service.terminate()
            assert service.wait(timeout=60) in {0, -signal.SIGTERM}
    assert not psutil.wait_procs(family, timeout=30)[1]
    assert log.read_text().count("\n") == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_a_service_starts_again_on_its_port_at_once_although_connections_of_the_last_one_are_closing(
    home: Path, tmp_path: Path, workers: int
) -> None:
    folder, port = own_home(home, tmp_path / "home"), free_port()
    arguments, environment = ("--workers", str(workers)), {"LABSERVER_DRAIN_SECONDS": "0"}
    clients = [requests.Session() for _ in range(20)]
    with running(folder, arguments=arguments, environment=environment, port=port) as service:
        for client in clients:
            assert client.get(service.url + "/healthz", timeout=PATIENCE).status_code == 200
    for client in clients:  # after the service, which therefore keeps the closed connections in mind
        client.close()
    assert any(found.laddr.port == port and found.status == psutil.CONN_TIME_WAIT for found in psutil.net_connections())
    with running(folder, arguments=arguments, environment=environment, port=port) as again:
        assert again.ready()


def turns_until_accepted(sockets: Sequence[socket.socket], connections: int) -> int:
    """Turns of a loop in which as many connections, all of them there, are accepted."""
    accepted = turns = 0

    class Counted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            nonlocal accepted
            accepted += 1

    async def accept() -> None:
        nonlocal turns
        loop = asyncio.get_running_loop()
        servers = [await loop.create_server(Counted, sock=handle, backlog=BACKLOG) for handle in sockets]
        with contextlib.ExitStack() as clients:
            for _ in range(connections):
                clients.enter_context(socket.create_connection(sockets[0].getsockname()))
            while accepted < connections:
                turns += 1
                await asyncio.sleep(0)
        for server in servers:
            server.close()

    uvloop.run(accept())
    return turns


def test_a_turn_accepts_many_connections() -> None:
    assert turns_until_accepted(handles(bind("127.0.0.1", 0)), 64) <= 8
    assert turns_until_accepted([bind("127.0.0.1", 0)], 64) >= 64, (
        "libuv accepts more by itself now: no need of handles"
    )
