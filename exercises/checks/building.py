"""Lesson 1: builds a learner's Containerfile, shows the engine's progress, and leaves nothing running."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import threading
import time
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from exercises.checks.attempt import Attempt, StepBegun
from exercises.checks.doubt import Doubt, Doubtful, Unjudged, machines_fault
from exercises.checks.registry import ROOT
from exercises.checks.result import CheckFinding
from labserver.running.engine import Engine

IMAGE_TAG = "localhost/labserver-exercise-1"
BUILD_SECONDS = 540
"""Seconds that a first build can take: it fetches every package. Later builds reuse its layers."""
LAST_LINES = 15
"""The last lines of a build, which say why it failed."""
STEP_PATTERN = re.compile(r"(\[\d+/\d+\] )?STEP |#\d+ \[")
"""Matches the lines in which podman and docker name their steps."""
NETWORK_FAILURES = (
    *("temporary failure in name resolution", "no such host", "name or service not known", "network is unreachable"),
    *("connection timed out", "i/o timeout", "read timed out", "tls handshake timeout", "connection reset by peer"),
    *("newconnectionerror", "could not connect to", "connection refused", "toomanyrequests", "service unavailable"),
)
"""Matches the output of a build that fails because of the network."""


def build(engine: Engine, attempt: Attempt, base: str) -> Generator[StepBegun, None, tuple[str, CheckFinding]]:
    """The image's id, and the findings of its build. Its layers stay, so that the next build takes seconds.

    Raises:
        Doubtful: if it does not come to an end.
        Unjudged: if the engine or the network failed.
    """
    yield StepBegun(f"{engine.name} builds the image: minutes the first time, seconds after that")
    identity = attempt.settings.home / "image"
    command = ["build", "--file", str(attempt.file), "--tag", IMAGE_TAG, "--iidfile", str(identity)]
    command += ["--build-arg", f"BASE_IMAGE={base}"]
    command += ["--build-context", f"bundle={attempt.settings.bundle.resolve()}"]
    command += ["--format", "docker"] if engine.name == "podman" else []  # its own has no health check
    flags = shlex.split(os.environ.get("IMAGE_FLAGS", ""))
    code, said = yield from printed([engine.path, *command, *flags, str(ROOT)], BUILD_SECONDS)
    finding = CheckFinding(
        "It builds.",
        code == 0,
        sent=f"{engine.name} build",
        received=said[-500:] if code else "",
        expected="an image",
        why="What does not build from a fresh clone cannot be deployed by anyone but its author.",
        mistake="does-not-build" if code else "",
    )
    if code is None:
        raise Doubtful(Doubt(f"the image was not built within {BUILD_SECONDS} s", finding))
    if code:
        fails_by_itself(engine, base, said)
    return identity.read_text().strip() if identity.exists() else "", finding


def printed(command: Sequence[str], seconds: float) -> Generator[StepBegun, None, tuple[int | None, str]]:
    """Run a build. Returns its exit code, None if it was ended after ``seconds``, and its last lines."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    late, last = threading.Event(), deque[str](maxlen=LAST_LINES)

    def give_up() -> None:
        late.set()
        end(process)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        for line in process.stdout or ():
            last.append(line.strip())
            if STEP_PATTERN.match(line):
                yield StepBegun(" ".join(line.split())[:100])
        process.wait()
    finally:
        timer.cancel()
        end(process)
        if process.stdout:
            process.stdout.close()
    return None if late.is_set() else process.returncode, "\n".join(last)


def end(process: subprocess.Popen[str]) -> None:
    """End a build. podman removes its working container if the command in it fails, and not if it is killed itself."""
    until = time.monotonic() + 4
    while process.poll() is None and time.monotonic() < until:
        for child in inside(process.pid):
            with suppress(psutil.Error):
                child.kill()
        time.sleep(0.1)
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(2)
        process.kill()
    process.wait()


def inside(pid: int) -> list[psutil.Process]:
    """Processes of a build that run in a container: in other process namespaces than this one (Linux)."""
    found = []
    with suppress(psutil.Error, OSError):
        here = Path("/proc/self/ns/pid").readlink()
        for child in psutil.Process(pid).children(recursive=True):
            with suppress(OSError):
                if Path(f"/proc/{child.pid}/ns/pid").readlink() != here:
                    found.append(child)
    return found


def fails_by_itself(engine: Engine, base: str, said: str) -> None:
    """Raise if the failure is not the learner's.

    Raises:
        Unjudged: if so.
    """
    if full := machines_fault(Exception(said)):
        raise Unjudged(full)
    if any(phrase in said.lower() for phrase in NETWORK_FAILURES):
        raise Unjudged(f"{engine.name} could not fetch what the file wants ({said[-200:]}). Run it again")
    tried = engine.run("run", "--rm", "--network=none", "--entrypoint", "python", base, "-c", "")
    if tried.returncode == ENGINE_FAILED:
        raise Unjudged(f"{engine.name} cannot run the base image either ({tried.stderr.strip()[-200:]}). Run it again")


ENGINE_FAILED = 125
"""The exit code by which podman and docker say that they, and not what ran in the container, failed."""
