"""Two ways to load a service. Which one is right depends on the question.

wrk is a closed loop: each connection waits for its answer before it asks again, so it finds the most that a service
can do, and hides how long anyone would wait. The open loop asks at a constant rate whether or not answers come, and
counts the wait from the moment the question was due.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from labserver.errors import LabError

WRK_BODY = """wrk.method = "POST"
wrk.body = [=[{body}]=]
wrk.headers["Content-Type"] = "application/json"
"""


def closed_loop(url: str, body: str, script: Path, core: int, connections: int, seconds: int) -> float:
    """Requests/s by wrk, which runs on ``core``.

    Raises:
        LabError: if wrk fails, or any answer is not a 200.
    """
    script.write_text(WRK_BODY.format(body=body))
    command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    if rate is None or "Non-2xx" in printed:
        raise LabError(f"wrk did not measure {url}: {printed.strip()[-300:] or 'no output'}")
    return float(rate.group(1))


def open_loop(url: str, body: str, rate: float, seconds: float, connections: int = 16) -> list[float]:
    """Latencies in milliseconds of questions put ``rate`` times a second, counted from when each was due.

    Raises:
        LabError: if an answer is not a 200.
    """
    return asyncio.run(_open_loop(url, body, rate, seconds, connections))


async def _open_loop(url: str, body: str, rate: float, seconds: float, connections: int) -> list[float]:
    place = urlsplit(url)
    request = (
        f"POST {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body.encode())}\r\n\r\n{body}"
    ).encode()
    due: asyncio.Queue[float | None] = asyncio.Queue()
    latencies: list[float] = []

    async def ask() -> None:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        while (moment := await due.get()) is not None:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise LabError(f"{url} answered {head.splitlines()[0].decode()}")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(length.group(1)) if length else 0)
            latencies.append((time.perf_counter() - moment) * 1e3)
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(ask())
        start = time.perf_counter()
        for number in range(int(rate * seconds)):
            moment = start + number / rate
            if (ahead := moment - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            due.put_nowait(moment)
        for _ in range(connections):
            due.put_nowait(None)
    return latencies


def percentile(latencies: list[float], share: float) -> float:
    """Such as 0.99 for p99, in the unit of the latencies."""
    return float(np.quantile(latencies, share))
