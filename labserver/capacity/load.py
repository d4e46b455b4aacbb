"""Two ways to load a service. Which one is right depends on the question.

wrk and Locust are closed loops: each connection waits for its answer before it asks again, so they find the most that
a service can do, and hide how long anyone would wait ("coordinated omission"). The open loop asks at a constant rate
whether or not answers come, and counts the wait from the moment the question was due.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import numpy as np
import uvloop

from labserver.capacity.process import leashed
from labserver.errors import LabError

SPIN = 0.002  # seconds before a question is due from which on the clock is watched instead of slept on

WRK_BODY = """wrk.method = "POST"
wrk.body = [=[{body}]=]
wrk.headers["Content-Type"] = "application/json"
"""


def closed_loop(url: str, body: str, script: Path, cores: Sequence[int], connections: int, seconds: int) -> float:
    """Requests/s by wrk, which runs on ``cores`` (empty for any) and is told what to send by ``script``.

    Raises:
        LabError: if wrk fails, no answer came, or any is not a 200.
    """
    script.write_text(WRK_BODY.format(body=body))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    printed = subprocess.run(leashed(command, cores), capture_output=True, text=True, check=False).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    if rate is None or "Non-2xx" in printed:
        raise LabError(f"wrk did not measure {url}: {printed.strip()[-300:] or 'no output'}")
    if not (found := float(rate.group(1))):
        raise LabError(f"No answer came from {url} within {seconds} s. Measure for longer.")
    return found


@dataclass(slots=True)
class Answers:
    """What came of questions put at a constant rate.

    Attributes:
        rate: questions/s.
        latencies: of each 200, in milliseconds from the moment the question was due.
        shed: number of 503s.
        failed: number of other answers, and of connections that broke before the answer.
        unanswered: number of questions that the patience was not enough for.
        late_ms: how late the generator itself put questions for which a connection was idle. Where these are not
            small against the latencies, the generator is what was measured.
    """

    rate: float
    latencies: list[float] = field(default_factory=list)
    shed: int = 0
    failed: int = 0
    unanswered: int = 0
    late_ms: list[float] = field(default_factory=list)

    @property
    def asked(self) -> int:
        """How many questions were put."""
        return len(self.latencies) + self.shed + self.failed + self.unanswered

    @property
    def complete(self) -> bool:
        """Whether 99 of 100 were answered with a 200. If not, a percentile of those that were says little."""
        return len(self.latencies) >= 0.99 * self.asked

    @property
    def late_p99(self) -> float:
        """p99 of ``late_ms``; 0 if no question found an idle connection."""
        return float(np.quantile(self.late_ms, 0.99)) if self.late_ms else 0.0

    def percentile(self, share: float) -> float:
        """Such as 0.99 for p99, of the 200s, in milliseconds; NaN if there were none."""
        return float(np.quantile(self.latencies, share)) if self.latencies else float("nan")


def open_loop(
    url: str, body: str, rate: float, seconds: float, connections: int = 16, patience: float = 10.0
) -> Answers:
    """Put ``body`` to ``url`` at a constant rate. Keeps one core busy, so that questions are put on time.

    Args:
        url: with the path.
        body: JSON.
        rate: questions/s.
        seconds: for how long. At least one question is put.
        connections: how many questions can be under way at once; more wait, and their wait counts.
        patience: seconds to wait for the last answers.

    Raises:
        LabError: if nothing listens at ``url``.
    """
    run = _OpenLoop(url, body, rate).run(max(1, int(rate * seconds)), connections, patience)
    try:
        # In a thread of its own: a notebook's kernel has a running event loop in this one.
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(uvloop.run, run).result()
    except OSError as error:
        raise LabError(f"Nothing answers at {url} ({error}). Start it with `labserver serve`.") from None


class _OpenLoop:
    """One run: puts the questions, and keeps the connections."""

    def __init__(self, url: str, body: str, rate: float) -> None:
        place = urlsplit(url)
        self._host, self._port = place.hostname or "127.0.0.1", place.port or 80
        self.request = (
            f"POST {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body.encode())}\r\n\r\n{body}"
        ).encode()
        self._answers = Answers(rate)
        self._waiting: deque[float] = deque()
        self._idle: list[_Connection] = []
        self._done = 0
        self._renewals: set[asyncio.Task[None]] = set()

    async def run(self, count: int, connections: int, patience: float) -> Answers:
        for _ in range(connections):
            await self._connect()
        start = time.perf_counter()
        for number in range(count):
            moment = start + number / self._answers.rate
            # Timers tick once a millisecond and a prediction takes less, so the last stretch is spent looking.
            await asyncio.sleep(max(0.0, moment - time.perf_counter() - SPIN))
            while (now := time.perf_counter()) < moment:
                await asyncio.sleep(0)
            if self._idle:
                self._answers.late_ms.append((now - moment) * 1e3)
                self._idle.pop().ask(moment)
            else:
                self._waiting.append(moment)
        deadline = time.perf_counter() + patience
        while self._done < count and time.perf_counter() < deadline:
            await asyncio.sleep(0.001)
        self._answers.unanswered = count - self._done
        for renewal in self._renewals:
            renewal.cancel()
        return self._answers

    def answered(self, moment: float, status: bytes) -> None:
        """An answer to the question that was due at ``moment``; empty for a connection that broke."""
        self._done += 1
        if status == b"200":
            self._answers.latencies.append((time.perf_counter() - moment) * 1e3)
        elif status == b"503":
            self._answers.shed += 1
        else:
            self._answers.failed += 1

    def free(self, connection: _Connection) -> None:
        """The connection can take the next question, the one that waits longest first."""
        if self._waiting:
            connection.ask(self._waiting.popleft())
        else:
            self._idle.append(connection)

    def lost(self, connection: _Connection) -> None:
        """The connection is gone: open another in its place."""
        if connection in self._idle:
            self._idle.remove(connection)
        renewal = asyncio.get_running_loop().create_task(self._renew())
        self._renewals.add(renewal)
        renewal.add_done_callback(self._renewals.discard)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: _Connection(self), self._host, self._port)

    async def _renew(self) -> None:
        while True:
            try:
                return await self._connect()
            except OSError:
                await asyncio.sleep(0.05)


class _Connection(asyncio.Protocol):
    """One connection: a question, its answer, the next question."""

    def __init__(self, loop: _OpenLoop) -> None:
        self._loop = loop
        self._moment: float | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class, which derives from neither
        self._loop.free(self)

    def ask(self, moment: float) -> None:
        self._moment = moment
        self._transport.write(self._loop.request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        if not blank or (length and len(body) < int(length.group(1))) or self._moment is None:
            return
        self._received = b""
        moment, self._moment = self._moment, None
        self._loop.answered(moment, head[9:12])
        if not self._transport.is_closing():
            self._loop.free(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self._moment is not None:
            self._loop.answered(self._moment, b"")
        self._loop.lost(self)
