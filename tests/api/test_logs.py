"""The log: which events are in it, and that nothing else is."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from awaiting import PATIENCE, until
from services import FLIGHT, Running, own_home, running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(own_home(home, tmp_path_factory.mktemp("home"))) as started:
        yield started


def logged(service: Running, request_id: str) -> list[dict[str, object]]:
    """Every line of a request. The line is written once the answer is out, so it may come after the answer."""

    def found() -> list[dict[str, object]]:
        return [line for line in map(json.loads, service.lines()) if line.get("request_id") == request_id]

    return until(found, f"No line of {request_id}.")


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/healthz", "/healthz", 200),
        ("GET", "/v1/model?key=abc", "/v1/model", 200),
        ("POST", "/v1/predictions", "/v1/predictions", 200),
        ("POST", "/v1/features/vector", "/v1/features/vector", 200),
        ("GET", "/nowhere/N14228", "unmatched", 404),
    ],
)
def test_a_request_is_one_line_with_the_route_and_not_the_path(
    service: Running, method: str, path: str, route: str, status: int
) -> None:
    sent = f"id-{method}-{route.replace('/', '.')}"
    body = FLIGHT if method == "POST" else None
    answer = requests.request(method, service.url + path, json=body, headers={"X-Request-ID": sent}, timeout=PATIENCE)
    assert answer.headers["x-request-id"] == sent
    [line] = logged(service, sent)
    assert (line["event"], line["method"], line["route"], line["status"]) == ("request", method, route, status)
    assert isinstance(line["ms"], float)
    assert line["ms"] > 0
    assert set(line) == {"event", "level", "timestamp", "request_id", "method", "route", "status", "ms"}


@pytest.mark.parametrize("sent", ["a b", "x" * 65, "x" * 300, '{"a":1}', "é", "../../x", "a\tb"])
def test_a_request_id_that_is_not_one_is_replaced(service: Running, sent: str) -> None:
    answer = requests.get(service.url + "/healthz", headers={"X-Request-ID": sent.encode("latin-1")}, timeout=PATIENCE)
    assert answer.status_code == 200
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    [line] = logged(service, answer.headers["x-request-id"])
    assert sent not in line.values()


def test_the_longest_request_id_is_kept(service: Running) -> None:
    sent = "A.b_c-9" * 9 + "Z"
    assert len(sent) == 64
    answer = requests.get(service.url + "/healthz", headers={"X-Request-ID": sent}, timeout=PATIENCE)
    assert answer.headers["x-request-id"] == sent


def test_the_log_names_no_client_and_no_plane(service: Running) -> None:
    with socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1])), timeout=PATIENCE) as connection:
        port = connection.getsockname()[1]
        connection.sendall(
            b"GET /healthz?who=me HTTP/1.1\r\nHost: localhost\r\nUser-Agent: someone\r\nX-Request-ID: seen\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    service.post("/v1/predictions", FLIGHT)
    refused = service.post("/v1/predictions", {**FLIGHT, "tailnum": "n14228"})
    assert logged(service, refused.headers["x-request-id"])
    assert logged(service, "seen")
    text = service.logged()
    for private in (f'"127.0.0.1:{port}', f":{port}", "who=me", "someone", "N14228", "n14228"):
        assert private not in text


def test_a_key_is_never_logged(home: Path, tmp_path: Path) -> None:
    with running(own_home(home, tmp_path), environment={"LABSERVER_API_KEY": "s3cret-key"}) as service:
        for key in ("s3cret-key", "wr0ng-key", "s3cret-ke"):
            answer = requests.get(service.url + "/v1/model", headers={"X-API-Key": key}, timeout=PATIENCE)
            assert answer.status_code == (200 if key == "s3cret-key" else 401)
            assert key not in answer.text
        for path in ("/openapi.json", "/docs", "/v1/features", "/nowhere"):
            assert service.get(path).status_code == 401
        assert [service.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]
        text = service.logged()
    assert "s3cret" not in text
    assert "wr0ng" not in text
