"""The service on a Unix socket: on a host that several people share, a port is open to all of them."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

from awaiting import until
from services import end, own_home


def ask(place: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(place))
        client.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return client.recv(65_536)


def listens(place: Path) -> bool:
    try:
        ask(place)
    except OSError:
        return False
    return True


def test_only_its_user_can_open_it_and_a_second_service_is_refused(home: Path, tmp_path: Path) -> None:
    place = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(place))
    place.chmod(0o777)
    environment = os.environ | {
        "LABSERVER_HOME": str(own_home(home, tmp_path / "home")),
        "LABSERVER_DRAIN_SECONDS": "0",
    }
    serve = [sys.executable, "-m", "labserver.cli", "serve", "--unix-socket"]
    process = subprocess.Popen([*serve, str(place)], env=environment, stderr=subprocess.DEVNULL)
    try:
        until(lambda: process.poll() is not None or listens(place), "Nobody listens.")
        assert ask(place).startswith(b"HTTP/1.1 200 ")
        mode = place.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        for arguments, sentence in (([str(place)], "in use"), ([str(tmp_path / "x"), "--workers", "2"], "one worker")):
            refused = subprocess.run([*serve, *arguments], env=environment, capture_output=True, text=True, check=False)
            assert refused.returncode == 1
            assert sentence in refused.stderr
        assert ask(place).startswith(b"HTTP/1.1 200 ")
    finally:
        end(process)
