"""Processes that are killed, and processes that are told to stop."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
import requests
from asking import asking, by_status, metrics, ready, shown, wait_for
from awaiting import PATIENCE
from services import Running, own_home, running
from table import Note

from labserver.running.process import Server, starting_stage
from labserver.settings import Settings


@contextmanager
def several(home: Path, folder: Path, workers: int, **environment: str) -> Iterator[Server]:
    with starting_stage(Settings(home=own_home(home, folder)), 9, workers=workers, environment=environment) as server:
        server.await_ready()
        yield server


def workers_of(server: Server) -> list[psutil.Process]:
    return [child for child in psutil.Process(server.process.pid).children() if is_worker(child)]


def is_worker(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.Error:  # killed, and not yet noticed
        return False


def test_a_killed_worker_costs_what_it_was_answering_and_comes_back(
    home: Path, tmp_path: Path, full: bool, note: Note
) -> None:
    kills, clients, enough = (8 if full else 2), 6, (300 if full else 60)
    back: list[float] = []
    with several(home, tmp_path, 2) as server:
        wait_for(lambda: len(workers_of(server)) == 2)
        with asking(server.url, clients) as asked:
            for _ in range(kills):

                def answered(more: int = asked.counts[200] + enough) -> bool:
                    return asked.counts[200] > more

                wait_for(answered)
                victim = workers_of(server)[0]
                os.kill(victim.pid, signal.SIGKILL)

                def replaced(old: int = victim.pid) -> bool:
                    alive = workers_of(server)
                    return len(alive) == 2 and old not in [worker.pid for worker in alive]

                back.append(wait_for(replaced))
                assert ready(server.url)
        wait_for(lambda: metrics(server.url)["http_requests_in_flight"] == 1)
        counted = by_status(server.url, "/v1/predictions")
    lost = asked.total - asked.counts[200]
    note(
        f"kill -9 of one of 2 workers, {clients} clients asking",
        kills,
        max(0, lost - kills * clients),
        f"{shown(asked.counts)}; the supervisor noticed after {max(back):.1f} s at most; /metrics counted "
        f"{counted[200]:,} answers",
    )
    assert lost <= kills * clients  # each client had at most one under way
    # A worker that dies between an answer and its count forgets one; the others' counts and its own earlier ones stay.
    assert counted[200] >= asked.counts[200] - kills * clients


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_under_load_loses_nothing_that_a_balancer_sends(
    home: Path, tmp_path: Path, full: bool, note: Note, workers: int
) -> None:
    """A balancer looks at /readyz every 300 ms; its clients open a connection a request."""
    stops, total, failed = (5 if full else 1), 0, Counter[int | str]()
    for number in range(stops):
        drain = {"LABSERVER_DRAIN_SECONDS": "3"}
        with several(home, tmp_path / str(number), workers, **drain) as server, asking(server.url, 8, pause=0) as asked:
            wait_for(lambda: asked.total > 50)
            server.process.terminate()
            time.sleep(0.3)  # a balancer does not ask at the moment of the signal
            while ready(server.url):
                time.sleep(0.3)
        total += asked.total
        failed += asked.counts - Counter({200: asked.counts[200]})
        assert server.process.returncode is not None
    note(
        f"SIGTERM in mid-load, {workers} worker{'s' if workers > 1 else ''}, clients that heed /readyz",
        stops,
        failed.total(),
        f"{total:,} requests, not answered with 200: {shown(failed)}",
    )
    assert failed.total() == 0


def test_no_acknowledged_outcome_is_lost(home: Path, tmp_path: Path, full: bool, note: Note) -> None:
    """The service is killed again and again; what was not acknowledged is told to the next one."""
    count, kills = (10_000, 5) if full else (2_000, 2)
    folder = own_home(home, tmp_path)
    waiting, acknowledged = {uuid.uuid4().hex for _ in range(count)}, set[str]()
    for last in [False] * kills + [True]:
        with running(folder) as service:
            told = tell(service, sorted(waiting), kill_after=None if last else count // (kills + 1))
        acknowledged |= told
        waiting -= told
    with closing(sqlite3.connect(folder / "state/outcomes.db")) as db:
        stored = {row[0] for row in db.execute("SELECT id FROM outcomes")}
    lost = acknowledged - stored
    note(
        f"outcomes told while the service is killed (kill -9) {kills} times",
        count,
        len(lost),
        f"acknowledged in the end {len(acknowledged):,}, on disk {len(stored):,}",
    )
    assert lost == set()
    assert len(acknowledged) == count


def tell(service: Running, predictions: list[str], kill_after: int | None) -> set[str]:
    """Send outcomes from eight clients; returns the acknowledged ones. After a number of them the service is killed."""
    told: set[str] = set()
    shares = [predictions[number::8] for number in range(8)]

    def client(share: list[str]) -> None:
        with requests.Session() as session:
            for prediction in share:
                body: dict[str, str | float] = {"id": prediction, "arrival_delay_minutes": 7.0}
                try:
                    if session.post(f"{service.url}/v1/outcomes", json=body, timeout=PATIENCE).status_code == 202:
                        told.add(prediction)
                except requests.RequestException:
                    return  # it is dead

    with ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(client, share) for share in shares]
        if kill_after is not None:
            wait_for(lambda: len(told) >= kill_after)
            service.process.kill()
        for done in clients:
            done.result()
    return told
