"""What a worker needs in memory: the curve over its start, and the sum when several run.

A process's resident size (RSS) counts a library that ten processes share ten times. The proportional set size (PSS)
divides each shared page by the number of those who map it, so the PSS of all workers may be added up. The kernel
says it in ``/proc/PID/smaps_rollup`` (Linux).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from labserver.capacity.load import open_loop
from labserver.capacity.process import Environment, Server, running_stage, stage
from labserver.capacity.question import BODY, PATH
from labserver.errors import LabError
from labserver.settings import Settings

INTERVAL = 0.02  # seconds between two points of the curve
LOOK = 0.2  # seconds after which memory-profiler is asked again
AFTER = 1.0  # seconds that the curve goes on once the worker is ready
WARM_UP = 200  # requests before a worker is measured: the first ones touch memory that start-up did not


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a stage, in MiB of PSS.

    Attributes:
        alone: one worker, which needs no supervisor.
        worker: each worker, if there are several.
        supervisor: what watches over several workers.
    """

    alone: float
    worker: float
    supervisor: float

    def total(self, workers: int) -> float:
        """MiB of ``workers`` workers and what watches over them."""
        if workers == 0:
            return 0.0
        return self.alone if workers == 1 else self.supervisor + workers * self.worker

    def fitting(self, limit: float) -> int:
        """How many workers fit into ``limit`` MiB."""
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
    """Start one worker and watch it, then two and add up.

    Raises:
        LabError: if the kernel does not tell PSS, or the stage does not start.
    """
    with stage(settings, lesson, cores=cores, environment=environment) as server:
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

    options = {"interval": INTERVAL, "timeout": LOOK, "timestamps": True, "backend": "psutil_pss"}
    points: list[tuple[float, float]] = []
    with ThreadPoolExecutor(1) as pool:
        ready = pool.submit(server.await_ready)
        with suppress(psutil.Error):  # it has ended: await_ready says why
            while not (ready.done() and time.perf_counter() > server.started + server.ready_seconds + AFTER):
                points += memory_usage(server.process, **options)
                if ready.done():
                    ready.result()
        ready.result()
    first = points[0][1]
    return StartUp(server.ready_seconds, [at - first for _, at in points], [mib for mib, _ in points])


def pss_mib(pid: int) -> float:
    """Proportional set size of a process in MiB.

    Raises:
        LabError: if the process is gone, or the kernel does not say (it is not Linux).
    """
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    raise LabError(f"The kernel does not say how much memory process {pid} uses. This needs Linux.")


def family(pid: int) -> list[int]:
    """A process and everything it has started, by process id."""
    import psutil

    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


def _warm_up(server: Server) -> None:
    open_loop(server.url + PATH, BODY, rate=WARM_UP, seconds=1)
