"""One client that sends more than a request is: headers, targets, trailers and requests without end.

Memory must stay flat, and other clients must be answered meanwhile.
"""

from __future__ import annotations

import json
import re
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from asking import asking, metrics, ready, wait_for
from services import FLIGHT, Running, own_home, running
from table import Note

MEGABYTES = 40
"""Sent at most: with a parser that has no bounds they take up to a GiB."""
MEGABYTES_OF_REQUESTS = 1
"""Of short requests: a parser without bounds makes sixty of them."""
HEAD = b"POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = json.dumps(FLIGHT).encode()
KEY = "a-key-of-these-tests"


@pytest.fixture(scope="module")
def service(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    environment = {"LABSERVER_REQUEST_TIMEOUT_SECONDS": "4"}
    with running(own_home(home, tmp_path_factory.mktemp("home")), environment=environment) as started:
        yield started


class Flood(NamedTuple):
    """What is sent once, what is sent again and again, and the statuses that may come back."""

    first: bytes
    again: bytes
    statuses: frozenset[bytes]
    reason: str


TOO_LARGE = frozenset({b"431"})
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
FLOODS = {
    "headers without end": Flood(b"GET /healthz HTTP/1.1\r\n", b"a:\r\n" * 16384, TOO_LARGE, "head_too_large"),
    "one header's value without end": Flood(b"GET /healthz HTTP/1.1\r\nX: ", b"x" * 65536, TOO_LARGE, "head_too_large"),
    "one header's name without end": Flood(b"GET /healthz HTTP/1.1\r\n", b"x" * 65536, TOO_LARGE, "head_too_large"),
    "a target without end": Flood(b"GET /", b"x" * 65536, TOO_LARGE, "head_too_large"),
    "blank lines before a request": Flood(b"", b"\r\n" * 32768, TOO_LARGE, "head_too_large"),
    "trailers without end": Flood(CHUNKED + b"0\r\n", b"a:\r\n" * 16384, TOO_LARGE, "head_too_large"),
    "one trailer without end": Flood(CHUNKED + b"0\r\nX: ", b"x" * 65536, TOO_LARGE, "head_too_large"),
    "a chunk's extension without end": Flood(CHUNKED + b"1;", b"x" * 65536, TOO_LARGE, "head_too_large"),
    "no HTTP": Flood(b"", b"\x16\x03\x01\x02" * 16384, frozenset({b"400"}), "not_http"),
}


class Poured(NamedTuple):
    """What a flood did: bytes that went out, the answer, and MiB that the service had more at most."""

    sent: int
    answer: bytes
    grown: float


def pour(service: Running, first: bytes, again: bytes, *, read: bool, megabytes: int = MEGABYTES) -> Poured:
    """Send until the service closes the connection or enough was sent."""
    process = psutil.Process(service.process.pid)
    before = most = process.memory_info().rss
    sent, answer = 0, b""
    with closing(socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1])), timeout=10)) as client:
        with suppress(OSError):
            client.sendall(first)
            while sent < megabytes << 20:
                client.sendall(again)
                sent += len(again)
                most = max(most, process.memory_info().rss)
                if read:
                    client.setblocking(False)
                    with suppress(BlockingIOError):
                        answer = (answer + client.recv(1 << 20))[-100_000:]
                    client.settimeout(10)
        with suppress(OSError):
            while received := client.recv(65536):
                answer += received
    return Poured(sent, answer, (max(most, process.memory_info().rss) - before) / 2**20)


@pytest.mark.parametrize("name", FLOODS)
def test_a_request_without_end_is_cut_off_and_memory_stays(service: Running, note: Note, name: str) -> None:
    flood = FLOODS[name]
    series = f'requests_rejected_total{{reason="{flood.reason}"}}'
    before = metrics(service.url)[series]
    with asking(service.url, 1, pause=0.005) as asked:
        time.sleep(0.3)
        poured = pour(service, flood.first, flood.again, read=True)
    status = poured.answer[9:12]
    note(
        name,
        1,
        asked.total - asked.counts[200],
        f"{status.decode() or 'closed'} after {poured.sent / 2**20:.1f} MB; {poured.grown:.0f} MiB more; "
        f"others: median {statistics.median(asked.times) * 1e3:.0f} ms, slowest {asked.slowest * 1e3:.0f} ms",
    )
    assert poured.sent < 8 << 20  # what the kernels on the way hold, and no more
    assert poured.grown < 16
    assert status in flood.statuses | {b""}  # the kernel may drop the answer of a connection that is closed
    assert asked.counts[200] == asked.total > 0
    assert metrics(service.url)[series] == before + 1


@pytest.mark.parametrize(("path", "read"), [("/healthz", True), ("/v1/model", False)], ids=["read", "not read"])
def test_requests_that_wait_on_a_connection_are_bounded(service: Running, note: Note, path: str, read: bool) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with asking(service.url, 1, pause=0.005) as asked:
        time.sleep(0.3)
        poured = pour(service, b"", request * 500, read=read, megabytes=MEGABYTES_OF_REQUESTS)
    note(
        f"GET {path} again and again, answers {'' if read else 'not '}read",
        poured.sent // len(request),
        asked.total - asked.counts[200],
        f"{poured.grown:.0f} MiB more; others: median {statistics.median(asked.times) * 1e3:.0f} ms",
    )
    assert poured.grown < 24
    assert asked.counts[200] == asked.total > 0
    wait_for(lambda: ready(service.url))


def test_a_thousand_requests_at_once_are_answered_in_their_order(service: Running) -> None:
    """Each of them has another id."""
    request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {}\r\n\r\n"
    last = request.format(999).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
    with closing(socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1])), timeout=20)) as client:
        client.sendall("".join([request.format(number) for number in range(999)] + [last]).encode())
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    ids = [line.split(b": ")[1] for line in answer.split(b"\r\n") if line.lower().startswith(b"x-request-id")]
    assert ids == [str(number).encode() for number in range(1000)]


def test_bodies_in_the_smallest_chunks_are_no_overhead(service: Running) -> None:
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY + b" " * 20_000) + b"0\r\n\r\n"
    with closing(socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1])), timeout=20)) as client:
        client.sendall(HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: b\r\n" * 98, b"200"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: b\r\n" * 100, b"431"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"b" * 30_000 + b"\r\n", b"200"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"b" * 40_000 + b"\r\n", b"431"),
        (b"GET /healthz?" + b"x" * 8_000 + b" HTTP/1.1\r\nHost: localhost\r\n", b"200"),
        (b"GET /healthz?" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: localhost\r\n", b"414"),
    ],
    ids=["100 headers", "101 headers", "30 kB", "40 kB", "a long target", "too long a target"],
)
def test_what_a_head_may_be(service: Running, head: bytes, status: bytes) -> None:
    with closing(socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1])), timeout=20)) as client:
        client.sendall(head + b"Connection: close\r\n\r\n" if status == b"200" else head + b"\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer[9:12] == status, answer[:300]


def test_requests_before_a_refused_one_are_answered(service: Running) -> None:
    good = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    with closing(socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1])), timeout=20)) as client:
        client.sendall(b"".join(repeat(good, 3)) + b"\x00\x00\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.count(b"HTTP/1.1 200") == 3
    assert b"HTTP/1.1 400" not in answer


UPGRADES = {
    "Java's client": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n",
    "a websocket": b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAA\r\n",
}


@pytest.mark.parametrize("chunked", [False, True], ids=["a length", "chunks"])
@pytest.mark.parametrize("name", UPGRADES)
@pytest.mark.parametrize("size", [1_000_000, 7], ids=["at once", "in pieces"])
def test_who_asks_for_another_protocol_is_answered_in_this_one(
    service: Running, name: str, chunked: bool, size: int
) -> None:
    framed = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY) if chunked else BODY
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(BODY)
    asks = HEAD + UPGRADES[name] + length + b"\r\n\r\n" + framed
    plain = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
    sent = asks + asks + plain
    with closing(socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1])), timeout=20)) as client:
        for start in range(0, len(sent), size):
            client.sendall(sent[start : start + size])
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.count(b"HTTP/1.1 200") == 3
    assert len(set(re.findall(rb'"probability":[0-9.]+', answer))) == 1
