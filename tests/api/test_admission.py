"""Above the concurrency limit a request is refused at once; below it nobody notices that there is one."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import requests
from asking import crowd
from awaiting import until
from hypothesis import given
from hypothesis import strategies as st
from services import FLIGHT, own_home, running

from labserver.api.admission import ConcurrencyLimit

BATCH = {"flights": [FLIGHT] * 1000}


@given(limit=st.integers(1, 5), steps=st.lists(st.booleans(), max_size=60))
def test_never_more_than_the_limit_are_inside(limit: int, steps: list[bool]) -> None:
    admission, inside = ConcurrencyLimit(limit), 0
    for arrives in steps:
        if arrives:
            assert admission.enter() == (inside < limit)
            inside = min(inside + 1, limit)
        elif inside:
            admission.leave()
            inside -= 1
    for _ in range(inside):
        admission.leave()
    assert [admission.enter() for _ in range(limit + 1)] == [True] * limit + [False]


@pytest.mark.slow
def test_a_crowd_is_answered_in_part_and_told_when_to_come_back(home: Path, tmp_path: Path) -> None:
    with running(own_home(home, tmp_path), environment={"LABSERVER_CONCURRENCY": "2"}) as service:
        answers: list[requests.Response] = []
        with crowd(lambda: answers.append(service.post("/v1/predictions/batch", BATCH)), 12):
            until(lambda: {answer.status_code for answer in answers} >= {200, 503}, "Not both are answered.")
            assert {service.get("/readyz").status_code for _ in range(20)} == {200}
            assert service.get("/healthz").status_code == 200
        refused = [answer for answer in answers if answer.status_code == 503]
        assert {answer.status_code for answer in answers} == {200, 503}
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        assert {answer.headers["content-type"] for answer in refused} == {"application/problem+json"}
        metrics = service.get("/metrics").text
        assert f'requests_rejected_total{{reason="overload"}} {len(refused)}.0' in metrics
        assert service.post("/v1/predictions", FLIGHT).status_code == 200


@pytest.mark.slow
def test_before_lesson_7_everyone_is_let_in(home: Path, tmp_path: Path) -> None:
    small = {"flights": [FLIGHT] * 20}
    with running(own_home(home, tmp_path), lesson=6, environment={"LABSERVER_CONCURRENCY": "1"}) as service:
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda: statuses.append(service.post("/v1/predictions/batch", small).status_code))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 6
