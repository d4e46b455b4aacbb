"""Lesson 1: stops a container under load, and counts what was lost."""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import requests

from exercises.checks.doubt import Unjudged
from exercises.checks.result import CheckFinding
from labserver.running.engine import Container

GRACE_SECONDS = 10
"""Seconds between SIGTERM and SIGKILL, as of ``podman stop`` and ``docker stop``."""
CLIENTS = 2


def stopped(box: Container, flight: dict[str, Any]) -> CheckFinding:
    """Stop it under clients that leave, as a balancer's do, once /readyz says so."""
    load = Load(box.url, flight)
    ended: list[tuple[int, float]] = []
    stopping = threading.Thread(target=lambda: ended.append(box.stop(GRACE_SECONDS)))
    with load:
        time.sleep(0.5)
        stopping.start()
        while load.is_ready():
            time.sleep(0.2)
    stopping.join()
    if not ended:
        raise Unjudged(f"{box.engine.name} did not stop the container. Run it again")
    code, seconds = ended[0]
    right = not load.lost and code == 0
    return CheckFinding(
        "A stop under load loses no request.",
        right,
        sent=f"SIGTERM while {CLIENTS} clients ask; SIGKILL after {GRACE_SECONDS} s",
        received=f"{load.answered} answered, {load.lost} lost, exit code {code} after {seconds:.1f} s",
        expected="0 lost, exit code 0",
        why="Every deploy stops a container. What is lost here is lost at each of them.",
        mistake="" if right else "requests-lost",
    )


@dataclass
class Load:
    """Clients that open a connection a request, for the length of the block.

    Attributes:
        url: of the service.
        flight: the flight in their requests.
        answered: requests that got a 200.
        lost: requests that got anything else, or nothing.
    """

    url: str
    flight: dict[str, Any]
    answered: int = 0
    lost: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def is_ready(self) -> bool:
        """True if a balancer would send more requests."""
        try:
            with client() as session:
                return session.get(self.url + "/readyz", timeout=GRACE_SECONDS).status_code == http.client.OK
        except requests.RequestException:
            return False

    def _ask(self) -> None:
        while not self._over.is_set():
            try:
                with client() as session:
                    good = session.post(self.url + "/v1/predictions", json=self.flight, timeout=GRACE_SECONDS).ok
            except requests.RequestException:
                good = False
            with self._lock:
                self.answered, self.lost = self.answered + good, self.lost + (not good)


def client() -> requests.Session:
    """HTTP, by no proxy."""
    session = requests.Session()
    session.trust_env = False
    return session
