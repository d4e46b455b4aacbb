"""One timer cancels what takes too long, and nothing else."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from awaiting import PATIENCE, until
from services import FLIGHT, own_home, running

from labserver.api.deadlines import Deadlines

Result = TypeVar("Result")


class Jumping(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer: seconds take no time, and a busy machine is never late."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def jumped(work: Coroutine[Any, Any, Result]) -> Result:
    with asyncio.Runner(loop_factory=Jumping) as runner:
        return runner.run(work)


async def timed(deadlines: Deadlines, seconds: float) -> str:
    task = asyncio.current_task()
    assert task is not None
    deadlines.begin(task)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if not deadlines.expired(task):
            raise
        return "late"
    finally:
        deadlines.end(task)
    await asyncio.sleep(0)  # a cancellation that was not taken back would strike here
    return "done"


def test_only_the_slow_ones_are_cancelled_each_in_its_time() -> None:
    async def run() -> list[str]:
        deadlines = Deadlines(0.2)

        async def later(delay: float, seconds: float) -> str:
            await asyncio.sleep(delay)
            return await timed(deadlines, seconds)

        return await asyncio.gather(*(later(0.05 * n, seconds) for n, seconds in enumerate((0.01, 5, 0.1, 5, 0.02))))

    assert jumped(run()) == ["done", "late", "done", "late", "done"]


def test_someone_elses_cancellation_is_not_taken_for_a_deadline() -> None:
    async def run() -> bool:
        task = asyncio.create_task(timed(Deadlines(5), 5))
        await asyncio.sleep(0.01)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return True
        return False

    assert jumped(run())


@pytest.mark.slow
def test_a_body_that_does_not_arrive_is_answered_with_408_and_others_are_not_kept_waiting(
    home: Path, tmp_path: Path
) -> None:
    body = json.dumps(FLIGHT).encode()
    head = b"POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\n"
    head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with running(own_home(home, tmp_path), environment={"LABSERVER_REQUEST_TIMEOUT_SECONDS": "3"}) as service:
        until(lambda: service.post("/v1/predictions", FLIGHT).status_code == 200)  # the first one takes longest
        with socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1])), timeout=PATIENCE) as slow:
            slow.sendall(head % len(body) + body[:20])
            assert service.post("/v1/predictions", FLIGHT).status_code == 200
            answer = slow.recv(4096)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"application/problem+json" in answer
        until(lambda: 'requests_rejected_total{reason="timeout"} 1.0' in service.get("/metrics").text)
