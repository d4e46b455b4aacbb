"""Five times as much as the service can do."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path

import requests
from asking import asking, by_status, metrics, ready, wait_for
from awaiting import PATIENCE
from needed import needed
from services import FLIGHT, Running, own_home, running
from table import Note

from labserver.capacity.load import Answers, closed_loop, open_loop
from labserver.running.process import dying_with_parent

PATH = "/v1/predictions"
BODY = json.dumps(FLIGHT)


def calm_again(service: Running) -> None:
    """Nothing is left inside, and a balancer may come back."""
    wait_for(lambda: metrics(service.url)["http_requests_in_flight"] == 1)  # the one that asks
    wait_for(lambda: ready(service.url))
    assert requests.post(service.url + PATH, json=FLIGHT, timeout=PATIENCE).status_code == 200


def waits(asked: Answers) -> str:
    return f"accepted ones waited {asked.percentile(0.5):.0f} ms, p99 {asked.percentile(0.99):.0f} ms"


def test_stage_9_answers_some_at_once_and_refuses_the_rest_at_once(
    home: Path, tmp_path: Path, full: bool, note: Note
) -> None:
    """A closed loop of five times the concurrency limit: a client that is rejected sends the next request at once."""
    needed("wrk", "wrk")
    seconds, limit = (8 if full else 2), 64
    with running(own_home(home, tmp_path)) as service:
        url, script = service.url + PATH, tmp_path / "ask.lua"
        peak = closed_loop(url, BODY, script, (), 16, seconds)
        wrk = ["wrk", "-t1", f"-c{5 * limit}", f"-d{seconds}s", "--timeout", "60s", "-s", str(script), url]
        for _ in range(10):  # on a busy machine wrk can be too slow to have that many requests inside at once
            before = by_status(service.url, PATH)
            flood = subprocess.Popen(dying_with_parent(wrk), stdout=subprocess.PIPE, text=True)
            asked = open_loop(url, BODY, rate=50, seconds=seconds * 0.8, patience=PATIENCE)
            printed = flood.communicate(timeout=PATIENCE)[0]
            counts = by_status(service.url, PATH) - before
            calm_again(service)
            if counts[503]:
                break
    goodput = (counts[200] - len(asked.latencies)) / seconds
    hung = int("timeout" in printed) + asked.unanswered + asked.failed
    # 0: wrk ended while they waited.
    others = sum(number for status, number in counts.items() if status not in (0, 200, 503))
    note(
        f"stage 9: {5 * limit} connections that ask without a pause, {limit} may be inside",
        counts.total(),
        hung + others,
        f"200: {counts[200]:,}, 503: {counts[503]:,}; goodput {goodput:,.0f}/s, {goodput / peak:.0%} of the peak "
        f"{peak:,.0f}/s; {waits(asked)}",
    )
    assert (hung, others) == (0, 0), (printed, counts, asked.failed, asked.unanswered)
    assert counts[503] > 0
    assert goodput > 0.3 * peak
    assert len(asked.latencies) > 0


def test_a_connection_for_each_request_is_answered_or_refused(
    home: Path, tmp_path: Path, full: bool, note: Note
) -> None:
    """A connection for each request: what waits to be accepted the service cannot refuse."""
    needed("wrk", "wrk")
    seconds, clients = (8 if full else 2), 320
    with running(own_home(home, tmp_path)) as service:
        url, script = service.url + PATH, tmp_path / "ask.lua"
        kept = closed_loop(url, BODY, script, (), 64, seconds)
        script.write_text(script.read_text() + 'wrk.headers["Connection"] = "close"\n')
        before = by_status(service.url, PATH)
        wrk = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "60s", "-s", str(script), url]
        flood = subprocess.Popen(dying_with_parent(wrk), stdout=subprocess.PIPE, text=True)
        with asking(service.url, 1) as asked:
            printed = flood.communicate(timeout=PATIENCE)[0]
        counts = by_status(service.url, PATH) - before
        calm_again(service)
    hung = int("timeout" in printed)
    others = sum(number for status, number in counts.items() if status not in (0, 200, 503))  # 0: wrk ended meanwhile
    others += asked.total - asked.counts[200] - asked.counts[503]
    answered = counts[200] / seconds
    note(
        f"stage 9: {clients} clients, a connection for each request",
        counts.total(),
        hung + others,
        f"200: {counts[200]:,}, 503: {counts[503]:,}; {answered:,.0f}/s, {answered / kept:.0%} of the {kept:,.0f}/s on "
        f"kept connections; one more client waited {1e3 * asked.slowest:.0f} ms at most",
    )
    assert (hung, others) == (0, 0), (printed, counts, asked.counts)
    assert answered > 0.1 * kept


def test_stage_7_answers_as_many_as_ever(home: Path, tmp_path: Path, full: bool, note: Note) -> None:
    """An open loop: questions come five times as fast as they can be answered, whatever is answered."""
    seconds = 10 if full else 3
    with running(own_home(home, tmp_path), lesson=7, environment={"LABSERVER_CONCURRENCY": "4"}) as service:
        url = service.url + PATH
        peak = busiest(url, 4, seconds)
        asked = open_loop(url, BODY, rate=5 * peak, seconds=seconds, connections=64, patience=PATIENCE)
        calm_again(service)
    goodput = len(asked.latencies) / seconds
    note(
        f"stage 7: {5 * peak:,.0f} requests/s at a capacity of {peak:,.0f}/s, 4 may be inside",
        asked.asked,
        asked.failed + asked.unanswered,
        f"200: {len(asked.latencies):,}, 503: {asked.shed:,}; goodput {goodput / peak:.0%} of the peak; {waits(asked)}",
    )
    assert (asked.failed, asked.unanswered) == (0, 0)
    assert asked.shed > 0
    assert goodput > 0.25 * peak


def busiest(url: str, clients: int, seconds: float) -> float:
    """Requests/s of N clients that each wait for their answer."""
    over, answered = threading.Event(), [0] * clients

    def keep_asking(number: int) -> None:
        with requests.Session() as session:
            while not over.wait(0):
                assert session.post(url, json=FLIGHT, timeout=PATIENCE).status_code == 200
                answered[number] += 1

    threads = [threading.Thread(target=keep_asking, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    over.wait(seconds)
    over.set()
    for thread in threads:
        thread.join(timeout=PATIENCE)
    return sum(answered) / seconds


def test_clients_that_leave_before_their_answer_leave_nothing_behind(
    home: Path, tmp_path: Path, full: bool, note: Note
) -> None:
    count = 400 if full else 60
    batch = {"flights": [FLIGHT] * 300}
    with running(own_home(home, tmp_path)) as service:
        gone = 0
        for number in range(count):
            try:
                requests.post(service.url + PATH + "/batch", json=batch, timeout=(5, 0.001 + number % 20 / 1000))
            except requests.RequestException:
                gone += 1
        calm_again(service)
    note("clients that leave before they are answered", gone, 0, "requests in flight: 0 afterwards")
    assert gone > count / 4
