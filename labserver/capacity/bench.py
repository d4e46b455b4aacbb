"""``make bench``: stages against the floor, one worker on one core, the load on the other, rounds interleaved."""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from labserver.capacity import mlserver_peer
from labserver.capacity.cores import Cores, divided
from labserver.capacity.load import closed_loop, open_loop
from labserver.capacity.memory import pss_mib
from labserver.capacity.question import BODY, PATH
from labserver.errors import LabError
from labserver.running.process import Server, free_port, running_stage, scratch_home, started
from labserver.settings import Settings

FLOOR_NAME = "floor"


@dataclass
class Subject:
    """A service that is measured.

    Attributes:
        name: as the table shows it.
        url: the address of the requests, with the path.
        body: the body of the requests.
        pid: its process id.
        start_seconds: from start to ready.
        rates: requests/s of wrk, by round.
        p99: milliseconds under 70 % of that rate, by round.
        late: p99 of how late the generator was, in milliseconds, by round; it is part of the above.
        memory_mib: PSS after the last round.
    """

    name: str
    url: str
    body: str
    pid: int
    start_seconds: float
    rates: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    memory_mib: float = 0.0

    def measure(self, script: Path, cores: Cores, seconds: int) -> None:
        """One round."""
        rate = closed_loop(self.url, self.body, script, cores.load, connections=8, seconds=seconds)
        answers = open_loop(self.url, self.body, 0.7 * rate, seconds)
        if not answers.complete:
            raise LabError(f"{self.name} answered {len(answers.latencies):,} of {answers.asked:,} requests with a 200.")
        self.rates.append(rate)
        self.p99.append(answers.percentile(0.99))
        self.late.append(answers.late_p99)
        self.memory_mib = pss_mib(self.pid)


def bench(
    settings: Settings,
    stages: list[int],
    rounds: int,
    seconds: int,
    report: Callable[[str], None],
    *,
    mlserver: bool = False,
) -> str:
    """Measure, write ``bench.json`` and ``bench.md`` into the home folder, return the table.

    Raises:
        LabError: if wrk is missing, the machine has a single core, or a service does not start or answer.
    """
    _check_tools()
    programs = mlserver_peer.install(settings.home) if mlserver else None
    with scratch_home(settings) as home, divided(1) as cores, ExitStack() as stack:
        _check_cores(cores)
        subjects = [stack.enter_context(_floor(home, cores))]
        subjects += [stack.enter_context(_stage(home, stage, cores)) for stage in stages]
        if programs is not None:
            subjects.append(stack.enter_context(_mlserver(home, programs, cores)))
        for number in range(rounds):
            for subject in subjects:
                report(f"round {number + 1} of {rounds}: {subject.name}")
                subject.measure(home.home / "wrk.lua", cores, seconds)
    table = _table(subjects)
    (settings.home / "bench.json").write_text(json.dumps([asdict(subject) for subject in subjects], indent=1))
    (settings.home / "bench.md").write_text(table + "\n")
    return table


def measured_alone(settings: Settings, lesson: int, rounds: int, seconds: int) -> Subject:
    """Measure one stage alone.

    Raises:
        LabError: as :func:`bench`.
    """
    _check_tools()
    with scratch_home(settings) as home, divided(1) as cores:
        _check_cores(cores)
        with _stage(home, lesson, cores) as subject:
            for _ in range(rounds):
                subject.measure(home.home / "wrk.lua", cores, seconds)
    return subject


def _check_tools() -> None:
    if shutil.which("wrk") is None:
        raise LabError("The benchmark needs wrk. On Debian: apt-get install wrk.")


def _check_cores(cores: Cores) -> None:
    if cores.shared:
        raise LabError("The benchmark needs two cores on Linux: one for the service, one for the load.")


@contextmanager
def _stage(home: Settings, lesson: int, cores: Cores) -> Iterator[Subject]:
    with running_stage(home, lesson, cores=cores.service) as server:
        yield _subject(f"stage {lesson}", server)


@contextmanager
def _floor(home: Settings, cores: Cores) -> Iterator[Subject]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", "labserver.capacity.floor:create", "--port", str(port)]
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--no-server-header"]
    with started([*command, *options], port, home.home, cores=cores.service) as server:
        server.await_ready()
        yield _subject(FLOOR_NAME, server)


@contextmanager
def _mlserver(home: Settings, programs: Path, cores: Cores) -> Iterator[Subject]:
    with mlserver_peer.running_mlserver(home, programs, cores.service) as server:
        yield _subject(mlserver_peer.PEER_NAME, server, mlserver_peer.PEER_PATH, mlserver_peer.question(home))


def _subject(name: str, server: Server, path: str = PATH, body: str = BODY) -> Subject:
    return Subject(name, server.url + path, body, server.process.pid, round(server.ready_seconds, 2))


def _table(subjects: list[Subject]) -> str:
    floor = subjects[0]
    base, base_p99 = statistics.median(floor.rates), statistics.median(floor.p99)
    lines = [
        "| service | requests/s | of the floor | p99 ms | of the floor | memory MiB (PSS) | start to ready s |",
        "|---|---|---|---|---|---|---|",
    ]
    for subject in subjects:
        rate, p99 = statistics.median(subject.rates), statistics.median(subject.p99)
        lines.append(
            f"| {subject.name} | {rate:,.0f} | {rate / base:.2f} | {p99:.2f} | {p99 / base_p99:.2f} "
            f"| {subject.memory_mib:.0f} | {subject.start_seconds:.2f} |"
        )
    late = max(statistics.median(subject.late) for subject in subjects)
    lines.append(f"\nThe load generator was at most {late:.2f} ms late (p99): differences below that say nothing.")
    return "\n".join(lines)
