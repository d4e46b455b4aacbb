"""``make bench``: stages against the floor, one worker on one core, the load on the other, rounds interleaved."""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import urllib3
from rich.console import Console

from labserver.capacity.load import closed_loop, open_loop, percentile
from labserver.errors import LabError
from labserver.settings import Settings

BODY = json.dumps(
    {
        "carrier": "UA",
        "flight": 1545,
        "origin": "EWR",
        "dest": "ORD",
        "tailnum": "N14228",
        "scheduled_departure": "2013-12-30T17:30:00-05:00",
    }
)
FLOOR = "floor"


@dataclass
class Subject:
    """One service that is measured."""

    name: str
    url: str
    pid: int
    start_seconds: float
    rates: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    memory_mb: float = 0.0


def bench(settings: Settings, stages: list[int], rounds: int, seconds: int, console: Console) -> str:
    """Measure, write ``bench.json`` and ``bench.md`` into the home folder, return the table.

    Raises:
        LabError: if wrk or taskset is missing, or the machine has a single core.
    """
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            raise LabError(f"The benchmark needs {tool}. On Debian: apt-get install wrk util-linux.")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise LabError("The benchmark needs two cores: one for the service, one for the load.")
    names = [FLOOR, *(str(stage) for stage in stages)]
    script = settings.home / "wrk.lua"
    os.sched_setaffinity(0, {cores[1]})
    with ExitStack() as stack:
        subjects = [stack.enter_context(_running(settings, name, cores[0])) for name in names]
        for number in range(rounds):
            for subject in subjects:
                console.print(f"round {number + 1} of {rounds}: {subject.name}")
                rate = closed_loop(subject.url, BODY, script, cores[1], connections=8, seconds=seconds)
                subject.rates.append(rate)
                subject.p99.append(percentile(open_loop(subject.url, BODY, 0.7 * rate, seconds), 0.99))
                subject.memory_mb = pss_mb(subject.pid)
    table = _table(subjects)
    (settings.home / "bench.json").write_text(json.dumps([asdict(subject) for subject in subjects], indent=1))
    (settings.home / "bench.md").write_text(table + "\n")
    script.unlink()
    return table


def _table(subjects: list[Subject]) -> str:
    floor = subjects[0]
    base, base_p99 = statistics.median(floor.rates), statistics.median(floor.p99)
    lines = [
        "| service | requests/s | of the floor | p99 ms | of the floor | memory MB (PSS) | start to ready s |",
        "|---|---|---|---|---|---|---|",
    ]
    for subject in subjects:
        rate, p99 = statistics.median(subject.rates), statistics.median(subject.p99)
        name = FLOOR if subject.name == FLOOR else f"stage {subject.name}"
        lines.append(
            f"| {name} | {rate:,.0f} | {rate / base:.2f} | {p99:.2f} | {p99 / base_p99:.2f} "
            f"| {subject.memory_mb:.0f} | {subject.start_seconds:.2f} |"
        )
    return "\n".join(lines)


@contextmanager
def _running(settings: Settings, name: str, core: int) -> Iterator[Subject]:
    """One worker, pinned to one core, until the block ends."""
    app = "labserver.capacity.floor:create" if name == FLOOR else "labserver.api.server:create"
    environment = os.environ | {"LABSERVER_LESSON": "9" if name == FLOOR else name, "LABSERVER_DRAIN_SECONDS": "0"}
    log = settings.home / f"bench-{name}.log"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    # By port, not by an inherited socket: uvicorn takes such a one for a Unix socket and leaves Nagle's algorithm on,
    # which costs every answer 40 ms.
    command = ["taskset", "-c", str(core), sys.executable, "-m", "uvicorn", "--factory", app, "--port", str(port)]
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    with log.open("w") as output:
        started = time.perf_counter()
        process = subprocess.Popen([*command, *options], env=environment, stdout=output, stderr=output)
    try:
        _await_ready(url, process, log)
        yield Subject(name, f"{url}/v1/predictions", process.pid, round(time.perf_counter() - started, 2))
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.unlink(missing_ok=True)


def _await_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    pool = urllib3.PoolManager(retries=False, timeout=1.0)
    for _ in range(600):
        if process.poll() is not None:
            raise LabError(f"A service ended at once: {log.read_text()[-300:]}")
        try:
            if pool.request("GET", f"{url}/readyz").status == 200:
                return
        except urllib3.exceptions.HTTPError:
            pass
        time.sleep(0.05)
    raise LabError(f"{url} did not become ready within 30 s.")


def pss_mb(pid: int) -> float:
    """Proportional set size in MB: memory of the process, what it shares counted in parts (Linux)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise LabError(f"The kernel does not say how much memory process {pid} uses.")
