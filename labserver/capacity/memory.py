"""Memory of a worker: the curve over its start, and the sum of several workers.

A process's resident size (RSS) counts a library that ten processes share ten times. The proportional set size (PSS)
divides each shared page by the number of those who map it, so the PSS of all workers can be added up. Linux alone
reports it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from labserver.capacity.load import open_loop
from labserver.capacity.question import BODY, PATH
from labserver.errors import LabError
from labserver.running.process import Environment, Server, running_stage, starting_stage
from labserver.settings import Settings

SAMPLE_SECONDS = 0.02  # seconds between two points of the curve
PROFILER_TIMEOUT = 0.2  # seconds after which memory-profiler is called again
SECONDS_AFTER_READY = 1.0  # seconds that the curve goes on once the worker is ready
WARM_UP_REQUESTS = 200  # requests before a worker is measured: the first ones touch memory that start-up did not


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a stage, in MiB of PSS.

    Attributes:
        alone: one worker, which needs no supervisor.
        worker: each worker, if there are several.
        supervisor: the parent process of several workers.
    """

    alone: float
    worker: float
    supervisor: float

    def total(self, workers: int) -> float:
        """MiB of ``workers`` workers and their supervisor."""
        if workers == 0:
            return 0.0
        return self.alone if workers == 1 else self.supervisor + workers * self.worker

    def fitting(self, limit: float) -> int:
        """Number of workers that fit into ``limit`` MiB."""
        several = int((limit - self.supervisor) // self.worker)
        return several if several > 1 else int(self.alone <= limit)


@dataclass(frozen=True, slots=True)
class StartUp:
    """The start of one worker.

    Attributes:
        ready_seconds: from the start to the first readiness.
        seconds: moments of the curve.
        mib: PSS at those moments.
    """

    ready_seconds: float
    seconds: list[float]
    mib: list[float]


def measure_memory(
    settings: Settings, lesson: int, cores: Sequence[int], environment: Environment
) -> tuple[Memory, StartUp]:
    """Measure one worker from its start on, then two workers together.

    Raises:
        LabError: if the kernel does not report PSS, or the stage does not start.
    """
    with starting_stage(settings, lesson, cores=cores, environment=environment) as server:
        start_up = watch(server)
        _warm_up(server)
        alone = pss_mib(server.process.pid)
    with running_stage(settings, lesson, workers=2, cores=cores, environment=environment) as server:
        _warm_up(server)
        *helpers, first, second = sorted(pss_mib(pid) for pid in family(server.process.pid)[1:])
        supervisor = pss_mib(server.process.pid) + sum(helpers)
    return Memory(alone, (first + second) / 2, supervisor), start_up


def watch(server: Server) -> StartUp:
    """The memory of a server that has just been started, by memory-profiler.

    Raises:
        LabError: if the server does not become ready.
    """
    import psutil
    from memory_profiler import memory_usage

    options = {"interval": SAMPLE_SECONDS, "timeout": PROFILER_TIMEOUT, "timestamps": True, "backend": "psutil_pss"}
    points: list[tuple[float, float]] = []
    with ThreadPoolExecutor(1) as pool:
        ready = pool.submit(server.await_ready)
        with suppress(psutil.Error):  # it has ended: await_ready says why
            while not (
                ready.done() and time.perf_counter() > server.started + server.ready_seconds + SECONDS_AFTER_READY
            ):
                points += memory_usage(server.process, **options)
                if ready.done():
                    ready.result()
        ready.result()
    first = points[0][1]
    return StartUp(server.ready_seconds, [at - first for _, at in points], [mib for mib, _ in points])


def pss_mib(pid: int) -> float:
    """Proportional set size of a process in MiB.

    Raises:
        LabError: if the process is gone, or the kernel does not report it (it is not Linux).
    """
    import psutil

    try:
        return float(psutil.Process(pid).memory_full_info().pss / 2**20)
    except (psutil.Error, AttributeError):  # AttributeError: what other systems report has no PSS
        raise LabError(f"The kernel does not say how much memory process {pid} uses. This needs Linux.") from None


def family(pid: int) -> list[int]:
    """A process and everything it has started, by process id."""
    import psutil

    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


def _warm_up(server: Server) -> None:
    open_loop(server.url + PATH, BODY, rate=WARM_UP_REQUESTS, seconds=1)
