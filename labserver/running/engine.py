"""Runs containers with podman or docker, whichever is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labserver.errors import LabError
from labserver.running.process import ready_in_time, waited_for_a_core

CONTAINER_PORT = 8000
"""Port on which the service listens inside."""
HARDENING_FLAGS = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
"""Flags that take privileges away: a writable root file system, all capabilities, every way to get one."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A container engine, by the path of its command."""

    path: str

    @property
    def name(self) -> str:
        """``podman`` or ``docker``."""
        return Path(self.path).name

    def run(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command of the engine, and wait. Output is captured; the caller decides about a failure."""
        command = [self.path, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    def output(self, *arguments: str, timeout: float = 60) -> str:
        """The output of a command.

        Raises:
            LabError: if it failed; repeats the engine's message.
        """
        done = self.run(*arguments, timeout=timeout)
        if done.returncode:
            raise LabError(f"{self.name} {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout

    def inspect(self, kind: str, name: str) -> dict[str, Any]:
        """The engine's description of an ``image`` or a ``container``.

        Raises:
            LabError: if there is none of this name.
        """
        [found] = json.loads(self.output(kind, "inspect", name))
        return dict(found)

    def bytes_beyond(self, image: str, base: str) -> int:
        """Bytes of the layers that an image adds to its base."""
        return int(self.inspect("image", image)["Size"]) - int(self.inspect("image", base)["Size"])


def find_engine() -> Engine | None:
    """The engine named by the variable ENGINE, else podman, else docker; None if none works."""
    for name in filter(None, (os.environ.get("ENGINE"), "podman", "docker")):
        if path := shutil.which(name):
            engine = Engine(path)
            if engine.run("version").returncode == 0:  # docker without its daemon fails here
                return engine
    return None


@dataclass(frozen=True, slots=True)
class Container:
    """A started container, published on the loopback port ``port``."""

    engine: Engine
    name: str
    port: int
    started: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self, seconds: float = 120) -> float:
        """Seconds from the call of ``run`` to the first 200 of /readyz, without the time in which it waited for a core:
        a busy machine says nothing about the image.

        Raises:
            LabError: if the container ends, or does not get there; repeats its log.
        """
        left = self.started + seconds - time.monotonic()
        if ready_in_time(f"{self.url}/readyz", lambda: bool(self._state()["Running"]), left):
            taken = time.monotonic() - self.started
            return taken - waited_for_a_core(self._state()["Pid"])
        raise LabError(f"{self.name} is not ready: {self.log().strip() or 'it logged nothing'}")

    def _state(self) -> dict[str, Any]:
        return dict(self.engine.inspect("container", self.name)["State"])

    def execute(self, command: Sequence[str], variables: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Run a command in the container, as the service's user; returns exit code and output."""
        flags = [word for name, value in (variables or {}).items() for word in ("--env", f"{name}={value}")]
        done = self.engine.run("exec", *flags, self.name, *command)
        return done.returncode, done.stdout + done.stderr

    def stop(self, grace_seconds: int = 10) -> tuple[int, float]:
        """Send SIGTERM, and SIGKILL after the grace period; returns exit code and seconds."""
        begun = time.monotonic()
        self.engine.output("stop", "-t", str(grace_seconds), self.name, timeout=grace_seconds + 60)
        taken = time.monotonic() - begun
        return int(self._state()["ExitCode"]), taken

    def log(self) -> str:
        done = self.engine.run("logs", self.name)
        return done.stdout + done.stderr


@contextmanager
def container(
    engine: Engine,
    image: str,
    flags: Sequence[str] = HARDENING_FLAGS,
    arguments: Sequence[str] = (),
    inside: int = CONTAINER_PORT,
) -> Iterator[Container]:
    """A container of the image, removed with its volumes when the block ends, also after an error.

    Args:
        flags: for the engine's ``run``.
        arguments: for the image's entry point.
        inside: the port where the service listens in it.

    Raises:
        LabError: if the engine does not start it; repeats the engine's message.
    """
    name = f"labserver-{uuid.uuid4().hex[:12]}"
    started = time.monotonic()
    try:
        published = ("--publish", f"127.0.0.1::{inside}")
        engine.output("run", "--detach", "--name", name, *published, *flags, image, *arguments)
        port = int(engine.output("port", name, str(inside)).split()[0].rpartition(":")[2])
        yield Container(engine, name, port, started)
    finally:
        engine.run("kill", name)  # or the removal waits for a drain that is not needed
        engine.run("rm", "--force", "--volumes", name)
