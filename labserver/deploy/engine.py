"""Runs containers with podman or docker, whichever is there."""

from __future__ import annotations

import http.client
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

PORT = 8000
"""Where the service listens inside."""
LOCKED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
"""What the service does without: a writable root file system, every capability, any way to get one."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A container engine, by the path of its command."""

    path: str

    @property
    def name(self) -> str:
        """``podman`` or ``docker``."""
        return Path(self.path).name

    def run(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command of the engine, and wait. Output is captured; a failure is the caller's to judge."""
        command = [self.path, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    def output(self, *arguments: str, timeout: float = 60) -> str:
        """What a command printed.

        Raises:
            LabError: if it failed; repeats what the engine said.
        """
        done = self.run(*arguments, timeout=timeout)
        if done.returncode:
            raise LabError(f"{self.name} {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout

    def inspect(self, kind: str, name: str) -> dict[str, Any]:
        """What the engine knows of an ``image`` or a ``container``.

        Raises:
            LabError: if there is none of this name.
        """
        [found] = json.loads(self.output(kind, "inspect", name))
        return dict(found)

    def bytes_beyond(self, image: str, base: str) -> int:
        """How many bytes of layers an image adds to the one that it builds on."""
        return int(self.inspect("image", image)["Size"]) - int(self.inspect("image", base)["Size"])


def find_engine() -> Engine | None:
    """The engine named by the variable ENGINE, else podman, else docker; None if none answers."""
    for name in filter(None, (os.environ.get("ENGINE"), "podman", "docker")):
        if path := shutil.which(name):
            engine = Engine(path)
            if engine.run("version").returncode == 0:  # docker without its daemon fails here
                return engine
    return None


@dataclass(frozen=True, slots=True)
class Container:
    """A started container whose own port is the machine's loopback ``port``."""

    engine: Engine
    name: str
    port: int
    started: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self, seconds: float = 30) -> float:
        """Seconds from the call of ``run`` to the first 200 of /readyz.

        Raises:
            LabError: if the container ends, or does not get there; repeats its log.
        """
        while time.monotonic() < self.started + seconds:
            if self._is_ready():
                return time.monotonic() - self.started
            if not self.engine.inspect("container", self.name)["State"]["Running"]:
                break
            time.sleep(0.02)
        raise LabError(f"{self.name} is not ready: {self.log().strip() or 'it logged nothing'}")

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def execute(self, command: Sequence[str], variables: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Run a command beside the service, as the service's user: exit code, and what it printed."""
        flags = [word for name, value in (variables or {}).items() for word in ("--env", f"{name}={value}")]
        done = self.engine.run("exec", *flags, self.name, *command)
        return done.returncode, done.stdout + done.stderr

    def stop(self, grace_seconds: int = 10) -> tuple[int, float]:
        """SIGTERM, and SIGKILL after the grace period: exit code, and the seconds it took."""
        begun = time.monotonic()
        self.engine.output("stop", "-t", str(grace_seconds), self.name, timeout=grace_seconds + 60)
        taken = time.monotonic() - begun
        return int(self.engine.inspect("container", self.name)["State"]["ExitCode"]), taken

    def log(self) -> str:
        done = self.engine.run("logs", self.name)
        return done.stdout + done.stderr


@contextmanager
def container(
    engine: Engine, image: str, flags: Sequence[str] = LOCKED, arguments: Sequence[str] = (), inside: int = PORT
) -> Iterator[Container]:
    """A container of the image, removed with its volumes when the block ends, whatever happened in it.

    Args:
        flags: for the engine's ``run``.
        arguments: for the image's entry point.
        inside: the port where the service listens in it.

    Raises:
        LabError: if the engine does not start it; repeats what the engine said.
    """
    name = f"labserver-{uuid.uuid4().hex[:12]}"
    started = time.monotonic()
    try:
        published = ("--publish", f"127.0.0.1::{inside}")
        engine.output("run", "--detach", "--name", name, *published, *flags, image, *arguments)
        port = int(engine.output("port", name, str(inside)).split()[0].rpartition(":")[2])
        yield Container(engine, name, port, started)
    finally:
        engine.run("kill", name)  # or removal waits for a drain that nobody needs
        engine.run("rm", "--force", "--volumes", name)
