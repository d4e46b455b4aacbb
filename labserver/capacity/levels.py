"""Throughput and latency over concurrency, by Locust: a closed loop with the level's number of users.

A user waits for its answer before it sends the next request. The scalability law describes such users. For the same
reason these latencies do not show how long independent clients would wait: see ``labserver.capacity.load``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labserver.capacity.memory import family
from labserver.errors import LabError
from labserver.running.process import Server, dying_with_parent

LOCUSTFILE = Path(__file__).with_name("locustfile.py")


@dataclass(frozen=True, slots=True)
class Level:
    """Measurement with ``users`` concurrent users.

    Attributes:
        users: number of concurrent users.
        throughput: answers/s.
        mean_ms: mean response time.
        p99_ms: to the millisecond, as Locust counts.
        busy: cores that the service kept busy. If it is well below the service's cores, the load generator was the
            bottleneck and the throughput is Locust's.
    """

    users: int
    throughput: float
    mean_ms: float
    p99_ms: float
    busy: float


def measure_level(server: Server, users: int, seconds: int, cores: Sequence[int]) -> Level:
    """Run Locust on ``cores`` (empty for any) for ``seconds``, of which its own start takes up to a half.

    On a busy machine the start can take all of them. Then it runs once more, for three times as long.

    Raises:
        LabError: if Locust does not run, or any request fails.
    """
    for length in (seconds, 3 * seconds):
        before = cpu_seconds(server)
        if found := _run(server.url, users, length, cores):
            return _level(found[0], users, cpu_seconds(server) - before)
    raise LabError(f"{users} users got no answer within {3 * seconds} s. Measure for longer: --seconds.")


def _run(url: str, users: int, seconds: int, cores: Sequence[int]) -> list[dict[str, Any]]:
    """Locust's results: one entry, or none if there was no answer."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "stats.json"
        command = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--host", url, "--headless"]
        count = ["--users", str(users), "--spawn-rate", str(users), "--run-time", f"{seconds}s"]
        output = ["--only-summary", "--loglevel", "ERROR", "--json-file", str(result.with_suffix(""))]
        done = subprocess.run(
            dying_with_parent([*command, *count, *output], cores), capture_output=True, text=True, check=False
        )
        try:
            found: list[dict[str, Any]] = json.loads(result.read_text())
        except (OSError, ValueError):
            said = " ".join((done.stdout + done.stderr).split())[-300:]
            raise LabError(f"Locust did not measure {url}: {said or 'no output'}") from None
    return found


def _level(found: dict[str, Any], users: int, cpu: float) -> Level:
    if found["num_failures"]:
        share = found["num_failures"] / found["num_requests"]
        raise LabError(f"{share:.0%} of the requests of {users} users failed. The log of the service says why.")
    requests = found["num_requests"]
    mean = found["total_response_time"] / requests
    # Locust's clock starts at the first answer. The users began to wait about one answer's time before.
    seconds = found["last_request_timestamp"] - found["start_time"] + mean / 1e3
    throughput = requests / seconds
    milliseconds = np.array([float(value) for value in found["response_times"]])
    counts = np.array(list(found["response_times"].values()))
    order = np.argsort(milliseconds)
    position = np.searchsorted(np.cumsum(counts[order]), 0.99 * requests)
    return Level(
        users=users,
        throughput=throughput,
        mean_ms=mean,
        p99_ms=float(milliseconds[order][position]),
        busy=cpu / requests * throughput,
    )


def cpu_seconds(server: Server) -> float:
    """Processor time that a server and its workers have used so far."""
    import psutil

    times = [psutil.Process(pid).cpu_times() for pid in family(server.process.pid)]
    return float(sum(time.user + time.system for time in times))
