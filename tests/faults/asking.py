"""Clients that keep asking while something happens to the service, and what its metrics say afterwards."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests
from running import FLIGHT

Answer = tuple[int | str, str]
"""Status, or the kind of error, and the text."""


@dataclass
class Asked:
    """What came back, by status or kind of error."""

    counts: Counter[int | str] = field(default_factory=Counter)
    slowest: float = 0.0

    def since(self, before: Counter[int | str]) -> Counter[int | str]:
        return self.counts - before

    @property
    def total(self) -> int:
        return self.counts.total()


def ask(url: str, path: str = "/v1/predictions", body: object = FLIGHT) -> Answer:
    """One question over a connection of its own."""
    try:
        answer = requests.post(url + path, json=body, timeout=30)
    except requests.RequestException as error:
        return type(error).__name__, str(error)
    return answer.status_code, answer.text


@contextmanager
def asking(
    url: str, clients: int = 4, pause: float = 0.01, path: str = "/v1/predictions", body: object = FLIGHT
) -> Iterator[Asked]:
    """``clients`` ask until the block ends."""
    asked, over, lock = Asked(), threading.Event(), threading.Lock()

    def keep_asking() -> None:
        while not over.is_set():
            began = time.perf_counter()
            answer = ask(url, path, body)
            with lock:
                asked.counts[answer[0]] += 1
                asked.slowest = max(asked.slowest, time.perf_counter() - began)
            time.sleep(pause)

    threads = [threading.Thread(target=keep_asking) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield asked
    finally:
        over.set()
        for thread in threads:
            thread.join(timeout=40)


def wait_for(what: Callable[[], bool], seconds: float = 20.0) -> float:
    """Seconds until it was so; fails if it never was."""
    began = time.perf_counter()
    while not what():
        assert time.perf_counter() - began < seconds, "It did not come to that."
        time.sleep(0.05)
    return time.perf_counter() - began


def ready(url: str) -> bool:
    try:
        return requests.get(url + "/readyz", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def metrics(url: str) -> dict[str, float]:
    """Every series of the page, by name and labels."""
    text = requests.get(url + "/metrics", timeout=20).text
    return {name: float(value) for name, value in re.findall(r"^([a-z_]+(?:\{[^}]*\})?) ([\d.e+-]+|NaN)$", text, re.M)}


def by_status(url: str, path: str = "") -> Counter[int | str]:
    """Requests that the service itself counted, by status; of one route, or of all."""
    counts: Counter[int | str] = Counter()
    for name, value in metrics(url).items():
        if name.startswith("http_request_duration_seconds_count") and f'route="{path}' in name:
            counts[int(re.search(r'status="(\d+)"', name)[1])] += int(value)  # type: ignore[index]
    return +counts


def shown(counts: Counter[int | str]) -> str:
    """Such as ``200: 1,204  503: 12``."""
    return "  ".join(f"{status}: {number:,}" for status, number in sorted(counts.items(), key=str)) or "nothing"
