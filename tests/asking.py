"""Clients that keep asking while something happens to the service, and what its metrics say afterwards."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
from awaiting import PATIENCE, until
from services import FLIGHT

Answer = tuple[int | str, str]
"""Status, or the kind of error, and the text."""


@dataclass
class Asked:
    """Counts of answers, by status or kind of error, and the seconds each took."""

    times: list[float] = field(default_factory=list)
    _counts: Counter[int | str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, status: int | str, seconds: float) -> None:
        with self._lock:
            self._counts[status] += 1
            self.times.append(seconds)

    @property
    def slowest(self) -> float:
        return max(self.times, default=0.0)

    @property
    def counts(self) -> Counter[int | str]:
        """Up to now."""
        with self._lock:
            return self._counts.copy()

    @property
    def total(self) -> int:
        return self.counts.total()


def ask(url: str, path: str = "/v1/predictions", body: Any = FLIGHT) -> Answer:
    """One question over a connection of its own."""
    try:
        answer = requests.post(url + path, json=body, timeout=PATIENCE)
    except requests.RequestException as error:
        return type(error).__name__, str(error)
    return answer.status_code, answer.text


@contextmanager
def asking(
    url: str, clients: int = 4, pause: float = 0.01, path: str = "/v1/predictions", body: Any = FLIGHT
) -> Iterator[Asked]:
    """``clients`` ask until the block ends."""
    asked = Asked()

    def once() -> None:
        began = time.perf_counter()
        answer = ask(url, path, body)
        asked.note(answer[0], time.perf_counter() - began)
        time.sleep(pause)

    with crowd(once, clients):
        yield asked


@contextmanager
def crowd(ask: Callable[[], object], clients: int) -> Iterator[None]:
    """``clients`` threads that call ``ask`` again and again until the block ends."""
    over = threading.Event()

    def keep_asking() -> None:
        while not over.is_set():
            ask()

    threads = [threading.Thread(target=keep_asking) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(timeout=PATIENCE)


def wait_for(what: Callable[[], object]) -> float:
    """Seconds until it was so; fails if it never was."""
    began = time.perf_counter()
    until(what, "It did not come to that.")
    return time.perf_counter() - began


def ready(url: str) -> bool:
    try:
        return requests.get(url + "/readyz", timeout=PATIENCE).status_code == 200
    except requests.RequestException:
        return False


def metrics(url: str) -> dict[str, float]:
    """Every series of the page, by name and labels."""
    text = requests.get(url + "/metrics", timeout=PATIENCE).text
    return {name: float(value) for name, value in re.findall(r"^([a-z_]+(?:\{[^}]*\})?) ([\d.e+-]+|NaN)$", text, re.M)}


def by_status(url: str, path: str = "") -> Counter[int | str]:
    """Requests that the service itself counted, by status; of one route, or of all."""
    counts: Counter[int | str] = Counter()
    for name, value in metrics(url).items():
        if name.startswith("http_request_duration_seconds_count") and f'route="{path}' in name:
            [status] = re.findall(r'status="(\d+)"', name)
            counts[int(status)] += int(value)
    return +counts


def shown(counts: Counter[int | str]) -> str:
    """Such as ``200: 1,204  503: 12``."""
    return "  ".join(f"{status}: {number:,}" for status, number in sorted(counts.items(), key=str)) or "nothing"
