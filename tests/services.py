"""Real services for tests: a process of its own, a home of its own, stopped by its process id."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests
from awaiting import PATIENCE, until

from labserver.model.bundle import load_bundle
from labserver.running.process import UNHURRIED, free_port
from labserver.running.process import own_home as own_home  # tests take it from here
from labserver.settings import Settings

Result = TypeVar("Result")

FLIGHT: dict[str, Any] = {
    "carrier": "UA",
    "flight": 1545,
    "origin": "EWR",
    "dest": "ORD",
    "tailnum": "N14228",
    "scheduled_departure": "2013-09-01T01:30:00-04:00",
}


@dataclass
class Running:
    """A service that answers at ``url`` and logs to ``log``."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    home: Path

    def post(self, path: str, body: Any, **options: Any) -> requests.Response:
        return requests.post(self.url + path, json=body, timeout=PATIENCE, **options)

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(self.url + path, headers=headers, timeout=PATIENCE)

    def lines(self) -> list[str]:
        """The log's lines so far, less one that is half written."""
        return [line for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def logged(self) -> str:
        """The log once it holds every request that was answered before this call: lines are written in their order, a
        few times a second. For one worker that logs requests.
        """
        last = f"last-{uuid.uuid4().hex}"
        assert self.get("/healthz", **{"X-Request-ID": last}).status_code == 200
        return until(lambda: text if last in (text := self.log.read_text()) else "", self.log.read_text)

    def ready(self) -> bool:
        """True if it reports that it is ready. Fails if it has ended."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.get("/readyz").status_code == 200
        except requests.ConnectionError:
            return False


def store_of(home: Path) -> Path:
    """The online store of the home's bundle."""
    return Settings(home=home).online_store(load_bundle(home / "bundle").features_version)


def command(port: int, lesson: int) -> list[str]:
    return [sys.executable, "-m", "labserver.cli", "serve", "--port", str(port), "--lesson", str(lesson)]


@contextmanager
def running(
    folder: Path,
    lesson: int = 9,
    environment: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    port: int | None = None,
    program: Sequence[str] | None = None,
    **options: Any,
) -> Iterator[Running]:
    """A service over a home made by :func:`own_home`; gone when the block ends. ``options`` are those of ``Popen``.

    ``program`` starts it in place of ``labserver serve --lesson``; it is given ``--port``.
    """
    port, log = port or free_port(), folder / f"stage-{lesson}.log"
    settings = {"LABSERVER_HOME": str(folder), **UNHURRIED, **(environment or {})}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*([*program, "--port", str(port)] if program else command(port, lesson)), *arguments],
            env=os.environ | settings,
            stdout=output,
            stderr=output,
            **options,
        )
    service = Running(f"http://127.0.0.1:{port}", process, log, folder)
    try:
        until(service.ready, log.read_text, seconds=1_200)  # `lab serve` may build first, and more than once
        yield service
    finally:
        end(process)


def end(process: subprocess.Popen[Any]) -> int:
    """SIGTERM; the exit code. Fails if the process does not go, and leaves none behind even so."""
    process.terminate()
    try:
        return process.wait(timeout=PATIENCE)
    finally:
        process.kill()  # of one that is gone, nothing happens
        process.wait()


def awaited(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine on an event loop of its own. In a thread, since Playwright keeps a loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def refusal(folder: Path, lesson: int = 9, **environment: str) -> tuple[int, str]:
    """Exit code and the last line of a service that must not start."""
    settings = {"LABSERVER_HOME": str(folder), **environment}
    done = subprocess.run(
        command(free_port(), lesson),
        env=os.environ | settings | {"COLUMNS": "400"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    printed = re.sub(r"\s+", " ", done.stdout + done.stderr)
    assert "Traceback" not in printed
    return done.returncode, printed
