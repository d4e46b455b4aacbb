"""A service as a process: on a free port, stopped by its process id, and ended when this process ends."""

from __future__ import annotations

import math
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import urllib3

from labserver.errors import LabError
from labserver.running import die_with_parent
from labserver.settings import Settings

Environment = Mapping[str, str]

PORTS = range(20_000, 30_000)
"""Ports for servers: below those that Linux (from 32,768 on) and macOS give to outgoing connections. Under load there
are thousands of connections, and one would take a server's port between its choice and the server's start.
"""

UNHURRIED = {"LABSERVER_DRAIN_SECONDS": "0", "LABSERVER_REQUEST_TIMEOUT_SECONDS": "120"}
"""Settings of a stage that a notebook or a tool starts. It need not drain. A long request timeout, because the first
request imports scikit-learn, which can take longer than the default on a busy machine.
"""


@dataclass
class Server:
    """A server that was started, ready or not.

    Attributes:
        url: such as ``"http://127.0.0.1:40123"``, without a path.
        process: the process, and the parent of its workers if it has several.
        log: the file of its output.
        started: when, by ``time.perf_counter()``.
        ready_seconds: from the start until it was ready; NaN before.
    """

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    started: float
    ready_seconds: float = field(default=math.nan, init=False)

    def await_ready(self, path: str = "/readyz", seconds: float = 120.0) -> None:
        """Wait until ``path`` answers with 200.

        Raises:
            LabError: if the process ends first, or takes longer than ``seconds``; quotes the end of its log.
        """
        left = self.started + seconds - time.perf_counter()
        if ready_in_time(self.url + path, lambda: self.process.poll() is None, left):
            self.ready_seconds = time.perf_counter() - self.started
        elif self.process.poll() is not None:
            raise LabError(f"The service ended before it was ready: {self._last_words()}")
        else:
            raise LabError(f"{self.url} was not ready within {seconds:.0f} s: {self._last_words()}")

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return " ".join(lines[-5:]) or "it said nothing."


def ready_in_time(url: str, alive: Callable[[], bool], seconds: float) -> bool:
    """Wait until a GET of ``url`` is answered with 200. No proxy is asked.

    Returns:
        Whether that came, within ``seconds`` and while what is to answer was ``alive``.
    """
    ends = time.perf_counter() + seconds
    with urllib3.PoolManager(retries=False, timeout=2.0) as pool:
        while time.perf_counter() < ends and alive():
            with suppress(urllib3.exceptions.HTTPError):
                if pool.request("GET", url).status == 200:
                    return True
            time.sleep(0.02)
    return False


@contextmanager
def started(
    command: Sequence[str],
    port: int,
    folder: Path,
    *,
    cores: Sequence[int] = (),
    environment: Environment | None = None,
    inherited: Sequence[socket.socket] = (),
) -> Iterator[Server]:
    """A command that listens on ``port``, until the block ends, or until this process does, however it ends.

    The kernel watches the thread that starts it, so start it in a thread that lives as long as it is needed.

    Args:
        command: the program and its arguments.
        port: where the command will listen; see :func:`free_port`.
        folder: where its output is kept while it runs.
        cores: numbers of the cores that it can use; empty for any.
        environment: variables in addition to those of this process.
        inherited: sockets that the command gets, under the same numbers.
    """
    log = folder / f"server-{port}.log"
    with log.open("wb") as output:
        moment = time.perf_counter()
        process = subprocess.Popen(
            dying_with_parent(command, cores),
            env=os.environ | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[bound.fileno() for bound in inherited],
        )
    try:
        yield Server(f"http://127.0.0.1:{port}", process, log, moment)
    finally:
        stop(process)
        log.unlink(missing_ok=True)


@contextmanager
def starting_stage(
    settings: Settings,
    lesson: int,
    *,
    workers: int = 1,
    cores: Sequence[int] = (),
    environment: Environment | None = None,
) -> Iterator[Server]:
    """Start a stage as ``labserver serve`` does; it is perhaps not ready yet. See :func:`started`.

    Args:
        settings: say where the home folder is. It is written to: give a :func:`scratch_home` to leave yours alone.
        lesson: the stage.
        workers: worker processes.
        cores: numbers of the cores it may use; empty for any.
        environment: more settings, such as ``{"LABSERVER_THREADS": "2"}``.
    """
    port = free_port()
    flags = {"--lesson": lesson, "--port": port, "--workers": workers, "--host": "127.0.0.1"}
    options = [str(word) for flag in flags.items() for word in flag]
    own = {"LABSERVER_HOME": str(settings.home.resolve()), **UNHURRIED, **(environment or {})}
    command = [sys.executable, "-m", "labserver.cli", "serve", *options]
    with started(command, port, settings.home, cores=cores, environment=own) as server:
        yield server


@contextmanager
def running_stage(
    settings: Settings,
    lesson: int,
    *,
    workers: int = 1,
    cores: Sequence[int] = (),
    environment: Environment | None = None,
) -> Iterator[Server]:
    """A stage that is ready. Arguments as in :func:`starting_stage`.

    Raises:
        LabError: if it does not become ready; quotes the end of its log.
    """
    with starting_stage(settings, lesson, workers=workers, cores=cores, environment=environment) as server:
        server.await_ready()
        yield server


@contextmanager
def scratch_home(settings: Settings, within: Path | None = None) -> Iterator[Settings]:
    """Settings for a home folder with what was built, by links, and a state of its own that goes with the block.

    Args:
        settings: of the home folder in which everything was built.
        within: where the new one is made; by default in the home folder.

    Raises:
        LabError: if nothing was built.
    """
    if not settings.bundle.exists():
        raise LabError(f"There is no bundle at {settings.bundle}. Run `labserver build`.")
    with tempfile.TemporaryDirectory(dir=within or settings.home, prefix="scratch.") as folder:
        yield settings.model_copy(update={"home": own_home(settings.home, Path(folder))})


def own_home(home: Path, folder: Path) -> Path:
    """Make ``folder`` a home with what was built in ``home``, by links, and a state of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("bundle", "warehouse.duckdb", "teaching"):
        if not (folder / name).exists():
            (folder / name).symlink_to((home / name).resolve())
    return folder


def dying_with_parent(command: Sequence[str], cores: Sequence[int] = ()) -> list[str]:
    """The command, tied to this process and to ``cores``; see :mod:`labserver.running.die_with_parent`."""
    place = ",".join(str(core) for core in cores)
    return [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid()), place, *command]


def stop(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM, and SIGKILL if the process has not ended after 30 s."""
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def waited_for_a_core(pid: int) -> float:
    """Seconds in which a process's first thread waited for a core; 0 where the kernel does not report it."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def is_free(port: int) -> bool:
    """True if no process listens on this loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def free_port() -> int:
    """A free loopback port that no other call on this machine gets while this process lives."""
    # A port, not an inherited socket: uvicorn takes that for a Unix socket and leaves Nagle's algorithm on,
    # which costs every answer 40 ms.
    first = secrets.randbelow(len(PORTS))
    for step in range(len(PORTS)):
        port = PORTS[(first + step) % len(PORTS)]
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if _claimed(port):
                return port
    raise LabError(f"No port from {PORTS.start} to {PORTS.stop - 1} is free on this machine.")


def _claimed(port: int) -> bool:
    """Keep the port from other calls until this process ends: the server takes seconds to start and to take it."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        if sys.platform == "linux":  # a name without a file, which the kernel forgets with the process
            claim.bind(f"\0labserver-port-{port}")
            claim.detach()
        return True
    except OSError:
        return False
    finally:
        claim.close()
