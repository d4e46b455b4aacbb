"""Two ways to load a service: closed loops for its capacity, an open loop for its latency.

wrk and Locust are closed loops: each connection waits for its answer before it sends the next request, so they find the
highest throughput, and hide how long independent clients would wait ("coordinated omission"). The open loop sends at a
constant rate whether or not answers arrive, and counts the wait from the moment the request was due.
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

from labserver.errors import LabError
from labserver.running.process import dying_with_parent

BUSY_WAIT_SECONDS = 0.002  # seconds before a request is due in which the loop polls the clock instead of sleeping

WRK_BODY = """wrk.method = "POST"
wrk.body = [=[{body}]=]
wrk.headers["Content-Type"] = "application/json"
"""


def closed_loop(url: str, body: str, script: Path, cores: Sequence[int], connections: int, seconds: int) -> float:
    """Requests/s by wrk, which runs on ``cores`` (empty for any) and sends the requests of ``script``.

    Raises:
        LabError: if wrk fails, no answer came, or any is not a 200.
    """
    script.write_text(WRK_BODY.format(body=body))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    printed = subprocess.run(dying_with_parent(command, cores), capture_output=True, text=True, check=False).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    if rate is None or "Non-2xx" in printed:
        raise LabError(f"wrk did not measure {url}: {printed.strip()[-300:] or 'no output'}")
    if not (found := float(rate.group(1))):
        raise LabError(f"No answer came from {url} within {seconds} s. Measure for longer.")
    return found


@dataclass(slots=True)
class Answers:
    """The result of requests sent at a constant rate.

    Attributes:
        rate: requests/s.
        latencies: of each 200, in milliseconds from the moment the request was due.
        shed: number of 503s.
        failed: number of other answers, and of connections that broke before the answer.
        unanswered: number of requests without an answer when the patience ended.
        late_ms: delay of the generator itself in sending requests for which a connection was idle. If it is not
            small compared with the latencies, the measurement shows the generator.
    """

    rate: float
    latencies: list[float] = field(default_factory=list)
    shed: int = 0
    failed: int = 0
    unanswered: int = 0
    late_ms: list[float] = field(default_factory=list)

    @property
    def asked(self) -> int:
        """Number of requests."""
        return len(self.latencies) + self.shed + self.failed + self.unanswered

    @property
    def complete(self) -> bool:
        """True if 99 of 100 were answered with a 200. If not, a percentile of those that were says little."""
        return len(self.latencies) >= 0.99 * self.asked

    @property
    def late_p99(self) -> float:
        """p99 of ``late_ms``; 0 if no request found an idle connection."""
        return float(np.quantile(self.late_ms, 0.99)) if self.late_ms else 0.0

    def percentile(self, share: float) -> float:
        """A quantile of the 200s, such as 0.99 for p99, in milliseconds; NaN if there were none."""
        return float(np.quantile(self.latencies, share)) if self.latencies else float("nan")


def open_loop(
    url: str, body: str, rate: float, seconds: float, connections: int = 16, patience: float = 10.0
) -> Answers:
    """Send ``body`` to ``url`` at a constant rate. Keeps one core busy, so that requests are sent on time.

    Args:
        url: with the path.
        body: JSON.
        rate: requests/s.
        seconds: length of the run. At least one request is sent.
        connections: number of concurrent requests; more wait, and their wait counts.
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
    """One run: sends the requests, and keeps the connections."""

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
        self._open: set[_Connection] = set()
        self._over = False

    async def run(self, count: int, connections: int, patience: float) -> Answers:
        """See :func:`open_loop`."""
        try:
            return await self._ask(count, connections, patience)
        finally:
            await self._close()

    async def _ask(self, count: int, connections: int, patience: float) -> Answers:
        for _ in range(connections):
            await self._connect()
        start = time.perf_counter()
        for number in range(count):
            moment = start + number / self._answers.rate
            # Timers tick once a millisecond and a prediction takes less, so the loop polls the clock at the end.
            await asyncio.sleep(max(0.0, moment - time.perf_counter() - BUSY_WAIT_SECONDS))
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
        return self._answers

    async def _close(self) -> None:
        self._over = True
        await asyncio.gather(*self._renewals)
        for connection in list(self._open):
            connection.close()
        await asyncio.sleep(0)  # each learns that it is gone

    def answered(self, moment: float, status: bytes) -> None:
        """Note the answer to the request that was due at ``moment``; empty for a connection that broke."""
        self._done += 1
        if status == b"200":
            self._answers.latencies.append((time.perf_counter() - moment) * 1e3)
        elif status == b"503":
            self._answers.shed += 1
        else:
            self._answers.failed += 1

    def opened(self, connection: _Connection) -> None:
        """Add a connection that can take its first request."""
        self._open.add(connection)
        self.free(connection)

    def free(self, connection: _Connection) -> None:
        """Give a connection its next request, the one that has waited longest."""
        if self._waiting:
            connection.ask(self._waiting.popleft())
        else:
            self._idle.append(connection)

    def lost(self, connection: _Connection) -> None:
        """Replace a connection that is gone, unless the run is over."""
        self._open.discard(connection)
        if self._over:
            return
        if connection in self._idle:
            self._idle.remove(connection)
        renewal = asyncio.get_running_loop().create_task(self._renew())
        self._renewals.add(renewal)
        renewal.add_done_callback(self._renewals.discard)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: _Connection(self), self._host, self._port)

    async def _renew(self) -> None:
        while not self._over:
            try:
                return await self._connect()
            except OSError:
                await asyncio.sleep(0.05)


class _Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, loop: _OpenLoop) -> None:
        self._loop = loop
        self._moment: float | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class, which derives from neither
        self._loop.opened(self)

    def close(self) -> None:
        self._moment = None  # a request without an answer has been counted as such
        self._transport.abort()

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
