"""The open loop counts the wait that a closed one hides, and tells refusals and failures apart."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from awaiting import PATIENCE

from labserver.capacity.load import Answers, open_loop
from labserver.errors import LabError
from labserver.running.process import free_port

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 4\r\n\r\nbusy"


@contextmanager
def serving(answer: Callable[[int], bytes]) -> Iterator[str]:
    """A server in a thread that answers request ``n`` with ``answer(n)``; empty bytes close the connection."""
    count = 0
    started, stopped = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []
    ports: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
                count += 1
                if not (sent := answer(count)):
                    break
                writer.write(sent)
        writer.close()

    async def run() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            ports.append(server.sockets[0].getsockname()[1])
            loops.append(asyncio.get_running_loop())
            started.set()
            await stopped.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert started.wait(PATIENCE)
    try:
        yield f"http://127.0.0.1:{ports[0]}/v1/predictions"
    finally:
        loops[0].call_soon_threadsafe(stopped.set)
        thread.join()


async def in_a_loop(url: str) -> Answers:
    return open_loop(url, "{}", rate=500, seconds=0.5)


@pytest.mark.parametrize("notebook", [False, True])
def test_every_question_is_put_and_answered(notebook: bool) -> None:
    """A notebook's kernel has a running event loop already."""
    with serving(lambda number: OK) as url:
        answers = asyncio.run(in_a_loop(url)) if notebook else open_loop(url, "{}", rate=500, seconds=0.5)
    assert len(answers.latencies) == answers.asked == 250
    assert answers.complete
    assert 0 < answers.percentile(0.5) <= answers.percentile(0.99)


def test_a_pause_counts_for_everyone_who_was_due_in_it() -> None:
    """A closed loop would report one slow request per connection. Here 200 questions fall due during the pause."""

    def answer(number: int) -> bytes:
        if number == 100:
            time.sleep(0.4)
        return OK

    with serving(answer) as url:
        answers = open_loop(url, "{}", rate=500, seconds=1, connections=4)
    assert sum(latency > 100 for latency in answers.latencies) >= 100
    assert answers.percentile(0.9) > 100
    assert answers.percentile(0.99) > 300


def test_refusals_and_broken_connections_are_told_apart() -> None:
    with serving(lambda number: b"" if number % 10 == 0 else BUSY if number % 2 else OK) as url:
        answers = open_loop(url, "{}", rate=400, seconds=0.5, patience=PATIENCE)
    assert answers.shed == 100
    assert answers.failed == 20
    assert len(answers.latencies) == 80
    assert answers.unanswered == 0
    assert not answers.complete


def test_silence_ends_with_the_patience() -> None:
    with serving(lambda number: OK if number <= 5 else b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n") as url:
        answers = open_loop(url, "{}", rate=100, seconds=0.2, connections=2, patience=2)
    assert (len(answers.latencies), answers.unanswered) == (5, 15)


def test_nobody_listens() -> None:
    with pytest.raises(LabError, match="labserver serve"):
        open_loop(f"http://127.0.0.1:{free_port()}/", "{}", rate=10, seconds=0.1)
