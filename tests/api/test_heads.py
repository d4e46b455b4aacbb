"""What the head of a request decides: host, method, path, encoding; and what every answer says."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from awaiting import PATIENCE
from services import FLIGHT, Running, own_home, running

BODY = json.dumps(FLIGHT).encode()
GETS = ["/", "/healthz", "/readyz", "/metrics", "/v1/model", "/v1/features", "/v1/monitor", "/docs", "/openapi.json"]
POSTS = ["/v1/predictions", "/v1/predictions/batch", "/v1/features/vector", "/v1/outcomes"]


@pytest.fixture(scope="module")
def service(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(own_home(home, tmp_path_factory.mktemp("home"))) as started:
        yield started


def port(service: Running) -> int:
    return int(service.url.rsplit(":", 1)[1])


def request(service: Running, method: str, path: str, **options: Any) -> requests.Response:
    return requests.request(method, service.url + path, timeout=PATIENCE, **options)


def exchanged(service: Running, request: bytes) -> bytes:
    with closing(socket.create_connection(("127.0.0.1", port(service)), timeout=20)) as client:
        client.sendall(request)
        return b"".join(iter(lambda: client.recv(65536), b""))


def status(service: Running, head: bytes) -> int:
    return int(exchanged(service, head + b"Connection: close\r\n\r\n")[9:12])


@pytest.mark.parametrize("path", GETS)
def test_head_is_what_get_says_without_its_body(service: Running, path: str) -> None:
    got, head = service.get(path), request(service, "HEAD", path)
    assert (head.status_code, head.content) == (got.status_code, b"") == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    if path not in {"/metrics", "/v1/monitor"}:  # those change with every request
        assert head.headers["content-length"] == got.headers["content-length"] == str(len(got.content))


@pytest.mark.parametrize("path", POSTS)
def test_head_where_there_is_no_get_says_what_there_is(service: Running, path: str) -> None:
    answer = request(service, "HEAD", path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_method_that_is_not_taken_is_told_that_head_is(service: Running) -> None:
    answer = request(service, "DELETE", "/healthz")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", [*GETS[1:7], *POSTS])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_slash_too_many_is_named_and_sends_nobody_elsewhere(service: Running, method: str, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port(service), timeout=20)
    with closing(connection):
        connection.request(method, path + "/", b"{}", {"Content-Type": "application/json"})
        answer = connection.getresponse()
        detail = json.loads(answer.read())["detail"]
    assert (answer.status, answer.getheader("location")) == (404, None)
    assert f"There is {path}, without" in detail


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "gzip, identity", "x-unknown"])
@pytest.mark.parametrize("path", POSTS)
def test_an_encoded_body_is_an_unsupported_type(service: Running, path: str, encoding: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    for body in (gzip.compress(BODY), BODY):
        answer = request(service, "POST", path, data=body, headers=headers)
        assert answer.status_code == 415
        assert answer.headers["accept-encoding"] == "identity"
        assert answer.json()["errors"][0]["field"] == "Content-Encoding"


def test_identity_is_no_encoding(service: Running) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "Identity"}
    assert request(service, "POST", "/v1/predictions", data=BODY, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.8.8.8:1", "[::1]", "[::1]:8000", "[0:0:0:0:0:0:0:1]:80"],
)
def test_a_service_on_loopback_answers_for_this_machine(service: Running, host: str) -> None:
    assert status(service, f"GET /v1/model HTTP/1.1\r\nHost: {host}\r\n".encode()) == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/v1/model", "/v1/monitor", "/docs"])
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "[::2]", "10.0.0.1", ""],
)
def test_it_answers_for_no_other_name(service: Running, path: str, host: str) -> None:
    assert status(service, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n".encode()) == 403


def test_nor_takes_an_outcome_for_one(service: Running) -> None:
    head = b"POST /v1/outcomes HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\n"
    answer = exchanged(service, head + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}")
    assert answer.startswith(b"HTTP/1.1 403")
    assert b"LABSERVER_HOSTS" in answer


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [{"LABSERVER_HOSTS": "lab.example, other.example"}, {"LABSERVER_HOSTS": "*"}, {"LABSERVER_API_KEY": "k" * 20}],
    ids=["named", "any", "a key"],
)
def test_it_answers_for_the_names_it_is_told_and_behind_a_key(
    home: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    with running(own_home(home, tmp_path), environment=environment) as service:
        assert status(service, b"GET /healthz HTTP/1.1\r\nHost: Other.Example:80\r\n") == 200


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"GET /healthz HTTP/1.1\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n", 400),
        (b"GET /healthz HTTP/1.0\r\n", 200),  # a balancer's health check
    ],
    ids=["none", "two", "none in HTTP/1.0"],
)
def test_a_request_has_one_host(service: Running, head: bytes, expected: int) -> None:
    assert status(service, head) == expected


@pytest.mark.slow
@pytest.mark.parametrize("keys", [["right", "wrong"], ["wrong", "right"], ["right", "right"]])
def test_a_key_comes_once(home: Path, tmp_path: Path, keys: list[str]) -> None:
    sent = {"right": "the-key-of-this-test", "wrong": "another-key-of-tests"}
    with running(own_home(home, tmp_path), environment={"LABSERVER_API_KEY": sent["right"]}) as service:
        lines = "".join(f"X-API-Key: {sent[key]}\r\n" for key in keys)
        assert status(service, f"GET /v1/model HTTP/1.1\r\nHost: x\r\n{lines}".encode()) == 401


@pytest.mark.parametrize("path", [*GETS, "/static/swagger-ui.css", "/page/dashboard.js", "/nothing"])
def test_every_answer_says_what_a_browser_may_do_with_it(service: Running, path: str) -> None:
    headers = service.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "script-src 'unsafe" not in policy
    assert len([name for name in headers if name.lower() == "content-security-policy"]) == 1


def test_what_is_refused_before_the_application_says_so_too(service: Running) -> None:
    assert request(service, "POST", "/v1/predictions", data=b"x").headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("flight", ["1545.0", "1.545e3", "15450e-1"])
def test_a_number_without_a_fraction_is_an_integer(service: Running, flight: str) -> None:
    body = json.dumps(FLIGHT | {"flight": 7}).replace('"flight": 7', f'"flight": {flight}')
    headers = {"Content-Type": "application/json"}
    same = service.post("/v1/predictions", FLIGHT | {"flight": 1545}).json()["probability"]
    for path in ("/v1/predictions", "/v1/features/vector"):
        answer = request(service, "POST", path, data=body.encode(), headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.json().get("probability", same) == same


@pytest.mark.parametrize("flight", ["1545.5", '"1545"', "true", "1e4", "1e300", "0.0"])
def test_other_numbers_and_what_looks_like_one_are_refused(service: Running, flight: str) -> None:
    body = json.dumps(FLIGHT | {"flight": 7}).replace('"flight": 7', f'"flight": {flight}')
    headers = {"Content-Type": "application/json"}
    answer = request(service, "POST", "/v1/predictions", data=body.encode(), headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "flight")


MOMENT = "2013-09-01T17:30:00-04:00"


@pytest.mark.parametrize(
    "time",
    [
        "2013-09-01t17:30:00-04:00",
        "2013-09-01 17:30:00-04:00",
        "2013-09-01T21:30:00z",
        "2013-09-01T17:30:00.0000000000001-04:00",
        "2013-09-01T17:29:60-04:00",
        "2013-09-02T20:59:00+23:29",
        "2013-09-01T21:30:00-00:00",
    ],
)
def test_a_moment_of_rfc_3339_is_the_same_however_it_is_written(service: Running, time: str) -> None:
    def probability(moment: str) -> float:
        answer = service.post("/v1/predictions", FLIGHT | {"scheduled_departure": moment})
        assert answer.status_code == 200, answer.text
        return float(answer.json()["probability"])

    assert probability(time) == probability(MOMENT)


@pytest.mark.parametrize(
    "time",
    [
        "2013-09-01T17:30:00",
        "2013-09-01T17:30-04:00",
        "2013-09-01",
        "20130901T173000Z",
        "2013-09-01T17:30:00,5Z",
        "2013-09-01T17:61:00Z",
        "9999-12-31T23:59:60Z",
        "0000-01-01T00:00:60Z",
        "٢٠١٣-09-01T17:30:00Z",
        "2013-09-01T17:30:00.Z",
    ],
)
def test_what_is_no_moment_of_rfc_3339_is_refused(service: Running, time: str) -> None:
    answer = service.post("/v1/predictions", FLIGHT | {"scheduled_departure": time})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "scheduled_departure")


@pytest.mark.slow
@pytest.mark.parametrize("idle", [5.0, 6.0, 12.0])
def test_a_request_after_a_pause_is_answered_on_the_same_connection(service: Running, idle: float) -> None:
    """As a balancer sends it that keeps its connections for a minute; uvicorn's own limit is 5 s."""
    clients = [http.client.HTTPConnection("127.0.0.1", port(service), timeout=20) for _ in range(10)]
    statuses = []
    for client in clients:
        client.request("GET", "/healthz")
        client.getresponse().read()
    time.sleep(idle)
    for client in clients:
        client.request("POST", "/v1/predictions", BODY, {"Content-Type": "application/json"})
        answer = client.getresponse()
        statuses.append(answer.status)
        answer.read()
        client.close()
    assert statuses == [200] * 10


@pytest.mark.slow
def test_a_connection_that_waits_too_long_is_closed(home: Path, tmp_path: Path) -> None:
    environment = {"LABSERVER_KEEP_ALIVE_SECONDS": "2", "LABSERVER_REQUEST_TIMEOUT_SECONDS": "1"}
    with running(own_home(home, tmp_path), environment=environment) as service:
        client = socket.create_connection(("127.0.0.1", port(service)), timeout=20)
        with closing(client):
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                answer += client.recv(65536)
            began = time.monotonic()
            assert client.recv(65536) == b""
            assert time.monotonic() - began >= 1.5  # its own time, not that of a request
