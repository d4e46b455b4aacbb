"""A service as a process: on a free port, ready, stopped by its process id, gone when we are gone."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import urllib3

from labserver.capacity import leash
from labserver.errors import LabError
from labserver.settings import Settings

Environment = Mapping[str, str]


@dataclass
class Server:
    """A server that was started, ready or not.

    Attributes:
        url: such as ``"http://127.0.0.1:40123"``, without a path.
        process: the process, and the parent of its workers if it has several.
        log: where its output goes.
        started: when, by ``time.perf_counter()``.
        ready_seconds: from the start until it was ready; NaN before.
    """

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    started: float
    ready_seconds: float = field(default=math.nan, init=False)

    def await_ready(self, path: str = "/readyz", seconds: float = 60.0) -> None:
        """Wait until ``path`` answers with 200.

        Raises:
            LabError: if the process ends first, or takes longer than ``seconds``; quotes the end of its log.
        """
        with urllib3.PoolManager(retries=False, timeout=1.0) as pool:
            while time.perf_counter() - self.started < seconds:
                if self.process.poll() is not None:
                    raise LabError(f"The service ended before it was ready: {self._last_words()}")
                try:
                    if pool.request("GET", self.url + path).status == 200:
                        self.ready_seconds = time.perf_counter() - self.started
                        return
                except urllib3.exceptions.HTTPError:
                    pass
                time.sleep(0.02)
        raise LabError(f"{self.url} was not ready within {seconds:.0f} s: {self._last_words()}")

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return " ".join(lines[-5:]) or "it said nothing."


@contextmanager
def started(
    command: Sequence[str],
    port: int,
    folder: Path,
    *,
    cores: Sequence[int] = (),
    environment: Environment | None = None,
) -> Iterator[Server]:
    """A command that listens on ``port``, until the block ends, or until this process does, however it ends.

    The kernel watches the thread that starts it, so start it in a thread that lives as long as it is needed.

    Args:
        command: the program and its arguments.
        port: where the command will listen; see :func:`free_port`.
        folder: where its output is kept while it runs.
        cores: numbers of the cores it may use; empty for any.
        environment: variables beside the ones of this process.
    """
    log = folder / f"server-{port}.log"
    with log.open("wb") as output:
        moment = time.perf_counter()
        process = subprocess.Popen(
            leashed(command, cores),
            env=os.environ | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield Server(f"http://127.0.0.1:{port}", process, log, moment)
    finally:
        stop(process)
        log.unlink(missing_ok=True)


@contextmanager
def stage(
    settings: Settings,
    lesson: int,
    *,
    workers: int = 1,
    cores: Sequence[int] = (),
    environment: Environment | None = None,
) -> Iterator[Server]:
    """A stage as ``labserver serve`` runs it, started but perhaps not ready yet. See :func:`started`.

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
    own = {"LABSERVER_HOME": str(settings.home.resolve()), "LABSERVER_DRAIN_SECONDS": "0", **(environment or {})}
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
    """A stage that is ready. Arguments as in :func:`stage`.

    Raises:
        LabError: if it does not become ready; quotes the end of its log.
    """
    with stage(settings, lesson, workers=workers, cores=cores, environment=environment) as server:
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
        for name in ("bundle", "warehouse.duckdb", "teaching"):
            (Path(folder) / name).symlink_to((settings.home / name).resolve())
        yield settings.model_copy(update={"home": Path(folder)})


def leashed(command: Sequence[str], cores: Sequence[int] = ()) -> list[str]:
    """The command, tied to this process and to ``cores``; see :mod:`labserver.capacity.leash`."""
    place = ",".join(str(core) for core in cores)
    return [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), place, *command]


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL for a process that has not gone after 15 s."""
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    # By port, not by an inherited socket: uvicorn takes such a one for a Unix socket and leaves Nagle's algorithm on,
    # which costs every answer 40 ms.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
