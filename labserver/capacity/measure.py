"""Measures a stage for a plan: memory, throughput over concurrency, latency over rate."""

from __future__ import annotations

import importlib.util
import math
import shutil
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labserver.capacity.cores import Cores, divided
from labserver.capacity.levels import Level, measure_level
from labserver.capacity.load import Answers, closed_loop, open_loop
from labserver.capacity.memory import StartUp, measure_memory
from labserver.capacity.plan import Worker
from labserver.capacity.question import BODY, PATH
from labserver.capacity.usl import fit
from labserver.errors import LabError
from labserver.running.process import Server, running_stage, scratch_home
from labserver.settings import Settings

Report = Callable[[str], None]

SHARES_OF_PEAK = (0.3, 0.5, 0.7, 0.8, 0.9)  # of the peak, at which latency is measured
LAST_ANSWERS_SECONDS = 3.0  # seconds to wait for the last answers
UNLIMITED = "100000"  # concurrent requests: no limit here, since the plan computes it
SATURATED = 0.85  # share of its cores from which on the service, and not the generator, is the limit


@dataclass(frozen=True, slots=True)
class Run:
    """A measurement to make.

    Attributes:
        lesson: the stage.
        workers: processes; the levels and what is found are divided by it.
        threads: of the model's arithmetic in each, at the stages that heed it (from 7 on).
        levels: concurrent users for each worker, three or more.
        seconds: length of one level; a rate of the open loop gets half of it in each round.
        rounds: of the open loop, interleaved, so that a disturbance does not hit one rate alone.
    """

    lesson: int = 9
    workers: int = 1
    threads: int = 1
    levels: Sequence[int] = (1, 2, 4, 8, 16, 32)
    seconds: int = 3
    rounds: int = 3


@dataclass(frozen=True, slots=True)
class Point:
    """The service under a constant rate, all workers together; medians of the rounds.

    Attributes:
        rate: requests/s.
        p50_ms: counted from when a request was due.
        p99_ms: the same; infinite if more than one in a hundred was not answered with a 200.
        late_ms: p99 of the generator's own delay. It is part of the above.
        requests: number of requests in each round.
    """

    rate: float
    p50_ms: float
    p99_ms: float
    late_ms: float
    requests: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything that was measured of a stage.

    Attributes:
        run: the measurement's settings.
        cores: the cores of service and load.
        levels: by concurrency, all workers together.
        peak: the most that wrk or Locust got, requests/s of all workers.
        points: by rate.
        start_up: of one worker.
        worker: one worker's part, for a plan.
    """

    run: Run
    cores: Cores
    levels: list[Level]
    peak: float
    points: list[Point]
    start_up: StartUp
    worker: Worker

    @property
    def saturated(self) -> bool:
        """True if the service, and not Locust, was the bottleneck under the highest concurrency."""
        return self.levels[-1].busy >= SATURATED * min(self.run.workers, len(self.cores.service) or math.inf)


def measure_capacity(settings: Settings, run: Run, report: Report) -> Measured:
    """Start the stage over a state of its own and measure it. Takes about a minute; reports each step.

    ``run`` must have passed :func:`check`.

    Raises:
        LabError: if the stage does not start or answer.
    """
    environment = {"LABSERVER_THREADS": str(run.threads), "LABSERVER_CONCURRENCY": UNLIMITED}
    with scratch_home(settings) as home, divided(run.workers * run.threads) as cores:
        memory, start_up = measure_memory(home, run.lesson, cores.service, environment)
        report(
            f"memory: {memory.alone:.0f} MiB alone, {memory.worker:.0f} MiB beside another, ready in "
            f"{start_up.ready_seconds:.1f} s"
        )
        with running_stage(
            home, run.lesson, workers=run.workers, cores=cores.service, environment=environment
        ) as server:
            levels = [_level(server, run, users * run.workers, cores, report) for users in run.levels]
            peak = max([level.throughput for level in levels] + _wrk(server, run, home, cores, report))
            points = _points(server, run, peak, report)
    worker = Worker(
        threads=run.threads,
        law=fit(run.levels, [level.throughput / run.workers for level in levels]),
        tail=max(1.0, levels[-1].p99_ms / levels[-1].mean_ms),
        p99_ms=[(point.rate / run.workers, point.p99_ms) for point in points],
        memory=memory,
    )
    return Measured(run, cores, levels, peak, points, start_up, worker)


def check(run: Run) -> None:
    """Reject settings that would fail after a minute.

    Raises:
        LabError: for a missing library, too few levels, or a system that does not report PSS.
    """
    if sys.platform != "linux":
        raise LabError("Capacity is measured on Linux only: no other kernel reports how memory is shared.")
    for module in ("locust", "memory_profiler", "psutil", "scipy"):
        if importlib.util.find_spec(module) is None:
            raise LabError(f"The library {module.replace('_', '-')} is not installed. Run `make setup`.")
    if len(set(run.levels)) < 3 or min(run.levels) < 1 or list(run.levels) != sorted(run.levels):
        raise LabError("The law has three parameters: give three levels or more, rising, such as 1,4,16.")


def _level(server: Server, run: Run, users: int, cores: Cores, report: Report) -> Level:
    level = measure_level(server, users, run.seconds, cores.load)
    report(f"Locust, {users} users: {level.throughput:,.0f} requests/s, mean {level.mean_ms:.1f} ms")
    return level


def _wrk(server: Server, run: Run, home: Settings, cores: Cores, report: Report) -> list[float]:
    """Requests/s of wrk, which needs less processor time than Locust; nothing if it is not installed."""
    if shutil.which("wrk") is None:
        report("wrk is not installed: the peak is what Locust gets. On Debian: apt-get install wrk.")
        return []
    connections = 8 * run.workers
    rate = closed_loop(server.url + PATH, BODY, home.home / "wrk.lua", cores.load, connections, run.seconds)
    report(f"wrk, {connections} connections: {rate:,.0f} requests/s")
    return [rate]


def _points(server: Server, run: Run, peak: float, report: Report) -> list[Point]:
    rates = [share * peak for share in SHARES_OF_PEAK]
    answers: list[list[Answers]] = [[] for _ in rates]
    for number in range(run.rounds):
        for rate, found in zip(rates, answers, strict=True):
            found.append(
                open_loop(server.url + PATH, BODY, rate, run.seconds / 2, 32 * run.workers, LAST_ANSWERS_SECONDS)
            )
        report(f"open loop, round {number + 1} of {run.rounds}: {rates[0]:,.0f} to {rates[-1]:,.0f} requests/s")
    return [_point(found) for found in answers]


def _point(rounds: list[Answers]) -> Point:
    return Point(
        rate=rounds[0].rate,
        p50_ms=statistics.median(answers.percentile(0.5) for answers in rounds),
        p99_ms=statistics.median(answers.percentile(0.99) if answers.complete else math.inf for answers in rounds),
        late_ms=statistics.median(answers.late_p99 for answers in rounds),
        requests=rounds[0].asked,
    )
