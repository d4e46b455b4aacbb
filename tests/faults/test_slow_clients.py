"""Clients that send slowly, stop half-way, send without end, or do not read."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from asking import asking, metrics, ready, shown, wait_for
from services import FLIGHT, Running, own_home, running
from table import Note

LIMIT = 4.0
"""Seconds that a request may take in these tests."""
BODY = json.dumps(FLIGHT).encode()
BATCH = json.dumps({"flights": [FLIGHT] * 1000}).encode()
HEAD = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
SINGLE = HEAD % b"/v1/predictions"

Script = Callable[[float], bytes]
"""Maps seconds to all bytes that a client has sent by then."""


@pytest.fixture(scope="module")
def service(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    environment = {"LABSERVER_REQUEST_TIMEOUT_SECONDS": str(LIMIT)}
    with running(own_home(home, tmp_path_factory.mktemp("home")), environment=environment) as started:
        yield started


def connect(service: Running, buffer: int | None = None) -> socket.socket:
    client = socket.socket()
    if buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.connect(("127.0.0.1", int(service.url.rsplit(":", 1)[1])))
    client.setblocking(False)
    return client


def header_by_byte(seconds: float) -> bytes:
    head = SINGLE + b"X-Slow: "
    return head[: 1 + int(seconds)].ljust(1 + int(seconds), b"x")


def nothing(seconds: float) -> bytes:
    return b""


def half_a_body(seconds: float) -> bytes:
    return SINGLE + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[: len(BODY) // 2]


def no_body(seconds: float) -> bytes:
    return SINGLE + b"Content-Length: %d\r\n\r\n" % len(BODY)


def body_by_byte(seconds: float) -> bytes:
    return SINGLE + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[: int(seconds * 4)]


def second_request_by_byte(seconds: float) -> bytes:
    whole = SINGLE + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    return whole + (header_by_byte(seconds - 0.5) if seconds > 0.5 else b"")


SLOW: dict[Script, bytes] = {
    nothing: b"",
    header_by_byte: b"",
    second_request_by_byte: b"200",
    no_body: b"408",
    half_a_body: b"408",
    body_by_byte: b"408",
}
"""The answer that each client gets before it is cut off."""


@pytest.mark.parametrize("script", SLOW, ids=lambda script: script.__name__)
def test_slow_clients_are_cut_off_and_keep_nobody_waiting(
    service: Running, full: bool, note: Note, script: Script
) -> None:
    count = 200 if full else 80  # more than may be inside at once
    if script is second_request_by_byte:
        count = 50  # fewer: their first requests come all at once
    with ExitStack() as open_clients, asking(service.url, 2) as asked:
        clients = [open_clients.enter_context(connect(service)) for _ in range(count)]
        sent, answers = dict.fromkeys(clients, 0), dict.fromkeys(clients, b"")
        open_, began, last = set(clients), time.perf_counter(), 0.0
        while open_ and time.perf_counter() - began < 8 * LIMIT:
            due = script(time.perf_counter() - began)
            for client in list(open_):
                try:
                    sent[client] += client.send(due[sent[client] :]) if sent[client] < len(due) else 0
                except OSError:
                    open_.discard(client)
            readable, _, _ = select.select(list(open_), [], [], 0.05)
            for client in readable:
                try:
                    answers[client] += (received := client.recv(65536))
                except OSError:
                    received = b""
                if not received:
                    open_.discard(client)
            last = time.perf_counter() - began
        assert ready(service.url)
    statuses = {answer[9:12] for answer in answers.values()}
    others = asked.total - asked.counts[200]
    note(
        f"slow clients: {script.__name__.replace('_', ' ')} (limit {LIMIT:g} s)",
        count,
        len(open_) + others,
        f"cut off within {last:.1f} s, after {' '.join(sorted(s.decode() for s in statuses)) or 'no answer'}; "
        f"meanwhile others: {shown(asked.counts)}, slowest {asked.slowest:.1f} s",
    )
    assert not open_
    assert others == 0, asked.counts
    assert asked.counts[200] > 0
    assert statuses == {SLOW[script]}
    wait_for(lambda: metrics(service.url)["http_requests_in_flight"] == 1)


def conversation(service: Running, pieces: Iterator[bytes], half_close: bool = False) -> tuple[int, bytes]:
    """Bytes sent and the answer. Stops sending once the service has answered or hung up."""
    with connect(service) as client:
        client.setblocking(True)
        client.settimeout(6 * LIMIT)
        sent, answer = 0, b""
        try:
            for piece in pieces:
                client.sendall(piece)
                sent += len(piece)
                if select.select([client], [], [], 0)[0]:
                    break
            if half_close:
                client.shutdown(socket.SHUT_WR)
            while received := client.recv(65536):
                answer += received
                if half_close and answer.endswith(b"}"):
                    break
        except (ConnectionError, BrokenPipeError):
            pass
    return sent, answer


def large(length: int) -> Iterator[bytes]:
    yield SINGLE + b"Content-Length: %d\r\n\r\n" % length
    for _ in range(length // 65536):
        yield b" " * 65536


def chunked(size: int, pause: float) -> Iterator[bytes]:
    yield SINGLE + b"Transfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"%x\r\n" % size + b" " * size + b"\r\n"
        time.sleep(pause)


BODIES: dict[str, tuple[Callable[[], Iterator[bytes]], bytes]] = {
    "a body of 2 MiB": (lambda: large(2 << 20), b"413"),
    "a chunked body without end, fast": (lambda: chunked(65536, 0), b"413"),
    "a chunked body without end, slow": (lambda: chunked(1, 0.05), b"408"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_without_end_is_ended(service: Running, note: Note, name: str) -> None:
    body, expected = BODIES[name]
    before = psutil.Process(service.process.pid).memory_info().rss
    began = time.perf_counter()
    sent, answer = conversation(service, body())
    seconds = time.perf_counter() - began
    # The connection is closed while the client still sends, so its kernel may drop the answer.
    status = answer[9:12].decode() or "reset"
    grown = (psutil.Process(service.process.pid).memory_info().rss - before) / 2**20
    note(name, 1, int(seconds > 3 * LIMIT), f"{status} after {seconds:.1f} s and {sent:,} bytes")
    assert status in {expected.decode(), "reset"}
    assert sent < 32 << 20  # the kernels on the way hold some megabytes
    assert seconds < 5 * LIMIT
    assert grown < 20
    assert ready(service.url)


def test_clients_that_close_their_side_are_taken_for_gone(service: Running, full: bool, note: Note) -> None:
    """HTTP would allow to close one's side once everything is sent; no client does, and one that leaves looks alike."""
    count = 100 if full else 20
    whole = SINGLE + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    answers = [
        conversation(service, iter([request]), half_close=True)[1][9:12]
        for request in (whole, half_a_body(0))
        for _ in range(count)
    ]
    wait_for(lambda: metrics(service.url)["http_requests_in_flight"] == 1)
    note(
        "clients that close their side after a request, or in the midst of one",
        len(answers),
        0,
        f"{answers.count(b'')} dropped, {answers.count(b'200')} answered; requests in flight: 0 afterwards",
    )
    assert set(answers) <= {b"", b"200"}


def test_answers_that_nobody_reads_do_not_stay(service: Running, full: bool, note: Note) -> None:
    """Large answers to clients that never read: more than the kernel keeps for them."""
    count = 20 if full else 5
    request = HEAD % b"/v1/predictions/batch" + b"Content-Length: %d\r\n\r\n" % len(BATCH) + BATCH
    process = psutil.Process(service.process.pid)
    with ExitStack() as open_clients:
        clients = [open_clients.enter_context(connect(service, buffer=4096)) for _ in range(count)]
        # By their own ports: connections of earlier clients may end while these begin.
        ports = {client.getsockname()[1] for client in clients}
        seen: set[int] = set()

        def held() -> set[int]:
            return {c.raddr.port for c in process.net_connections() if c.raddr} & ports

        def all_seen() -> bool:
            seen.update(held())
            return seen == ports

        for client in clients:
            client.setblocking(True)
            client.settimeout(2 * LIMIT)
            client.sendall(request)
        wait_for(all_seen)
        with asking(service.url, 2) as asked:
            seconds = wait_for(lambda: not held())
    others = asked.total - asked.counts[200]
    note(
        "answers of 200 KB that nobody reads",
        count,
        others,
        f"cut off within {seconds:.1f} s; others: {shown(asked.counts)}",
    )
    assert others == 0
