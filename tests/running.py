"""Real services for tests: a process of its own, a home of its own, stopped by its process id."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests

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
        return requests.post(self.url + path, json=body, timeout=60, **options)

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=60)


def own_home(home: Path, folder: Path) -> Path:
    """What was built, by links, and a state folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("bundle", "warehouse.duckdb", "teaching"):
        if not (folder / name).exists():
            (folder / name).symlink_to((home / name).resolve())
    return folder


def command(port: int, lesson: int) -> list[str]:
    return [sys.executable, "-m", "labserver.cli", "serve", "--port", str(port), "--lesson", str(lesson)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
    # A busy machine may take its time over a first request that imports scikit-learn: that is not what is tested.
    patient = {"LABSERVER_DRAIN_SECONDS": "0", "LABSERVER_REQUEST_TIMEOUT_SECONDS": "60"}
    settings = {"LABSERVER_HOME": str(folder), **patient, **(environment or {})}
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
        for _ in range(2400):
            assert process.poll() is None, log.read_text()
            try:
                if service.get("/readyz").status_code == 200:
                    break
            except requests.ConnectionError:
                time.sleep(0.05)
        yield service
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


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
        timeout=60,
        check=False,
    )
    printed = re.sub(r"\s+", " ", done.stdout + done.stderr)
    assert "Traceback" not in printed
    return done.returncode, printed
