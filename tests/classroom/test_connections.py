"""One client that sends without end, or opens connections and says nothing, keeps nobody from the board."""

from __future__ import annotations

import resource
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import psutil
import pytest
from awaiting import until
from boards import Board, board

from exercises.classroom.connections import MOST, SECONDS

MEGABYTES = 20
HEAD = b"GET /board HTTP/1.1\r\nHost: board\r\n"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    with board(tmp_path_factory.mktemp("class") / "class.db") as started:
        yield started


def client(own: Board) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(own.url.rsplit(":", 1)[1])), timeout=20)


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (HEAD, b"a:\r\n" * 16384),
        (HEAD + b"X: ", b"x" * 65536),
        (b"GET /", b"x" * 65536),
        (b"", (HEAD + b"\r\n") * 2000),
    ],
    ids=["headers", "a header's value", "a target", "requests"],
)
def test_who_sends_without_end_is_cut_off_and_memory_stays(own: Board, first: bytes, again: bytes) -> None:
    process = psutil.Process(own.process.pid)
    before, sent = process.memory_info().rss, 0
    with client(own) as sender, suppress(OSError):
        sender.sendall(first)
        while sent < MEGABYTES << 20:
            sender.sendall(again)
            sent += len(again)
    assert sent < 8 << 20  # what the kernels on the way hold, and no more
    assert process.memory_info().rss - before < 16 << 20
    assert own.get("/board").status_code == 200


def test_silent_connections_make_room_and_go(own: Board) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, MOST + 500)), hard))
    with ExitStack() as silent:
        began = time.monotonic()
        clients = [silent.enter_context(client(own)) for _ in range(MOST + 100)]
        assert own.get("/board").status_code == 200
        assert own.join(secrets.token_hex(16)).status_code == 201
        process = psutil.Process(own.process.pid)
        until(lambda: len(process.net_connections()) < 50, "They are still there.")
        assert time.monotonic() - began < 4 * SECONDS
        assert len(clients) > MOST
