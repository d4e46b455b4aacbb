"""Input that is meant to break something: what ``test_api`` has in its table is not repeated here."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from awaiting import PATIENCE, until
from services import FLIGHT, Running, own_home, running

pytestmark = pytest.mark.slow

JSON = {"Content-Type": "application/json"}
ID = "0123456789abcdef" * 2
SECRET = "N0SECRET"  # sent in many wrong places; must never reach the log


@pytest.fixture(scope="module")
def service(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(own_home(home, tmp_path_factory.mktemp("home"))) as started:
        yield started


def changed(**fields: Any) -> bytes:
    return json.dumps({**FLIGHT, **fields}).encode()


def raw(service: Running, request: bytes, answer: bool = True) -> bytes:
    """Bytes over a socket of their own; the answer, or nothing if the client hangs up without waiting for it."""
    with socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1])), timeout=PATIENCE) as connection:
        connection.sendall(request)
        received = b""
        while answer and (chunk := connection.recv(65536)):
            received += chunk
            head, _, body = received.partition(b"\r\n\r\n")
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if lengths and len(body) >= int(lengths[0].split(b":")[1]):
                break
        return received


def check(answer: requests.Response, status: int, field: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["errors"][0]["field"] == field
    assert problem["errors"][0]["allowed"]


PREDICTIONS = {
    "flight as float": (changed(flight=12.5), 422, "flight"),
    "flight 0": (changed(flight=0), 422, "flight"),
    "flight 10000": (changed(flight=10_000), 422, "flight"),
    "flight of 5000 digits": (changed(flight=1).replace(b'"flight": 1', b'"flight": ' + b"9" * 5000), 400, "body"),
    "lower-case carrier": (changed(carrier="ua"), 422, "carrier"),
    "carrier and a line feed": (changed(carrier="UA\n"), 422, "carrier"),
    "route that nobody flies": (changed(origin="LGA", dest="LAX"), 422, "dest"),
    "NUL in the tail number": (changed(tailnum="N1\x00"), 422, "tailnum"),
    "long tail number": (changed(tailnum=SECRET + "X"), 422, "tailnum"),
    "SQL in the tail number": (changed(tailnum="';DROP TABLE clock--"), 422, "tailnum"),
    "year 1, UTC": (changed(scheduled_departure="0001-01-01T00:00:00Z"), 422, "scheduled_departure"),
    "year 9999": (changed(scheduled_departure="9999-12-31T23:59:59-14:00"), 422, "scheduled_departure"),
    "offset of 99 hours": (changed(scheduled_departure="2013-09-01T01:30:00+99:99"), 422, "scheduled_departure"),
    "full-width digits": (changed(scheduled_departure="２０１３-09-01T01:30:00-04:00"), 422, "scheduled_departure"),
    "a date": (changed(scheduled_departure="2013-09-01"), 422, "scheduled_departure"),
    "as_of naive": (changed(as_of="2013-09-01T00:30:00"), 422, "as_of"),
    "as_of a number": (changed(as_of=1378013400), 422, "as_of"),
    "as_of in year 1": (changed(as_of="0001-01-01T00:00:00+14:00"), 422, "as_of"),
    "as_of in year 9999": (changed(as_of="9999-12-31T23:59:59-14:00"), 422, "as_of"),
    "overrides a list": (changed(overrides=[1]), 422, "overrides"),
    "65 overrides": (changed(overrides={f"f{number}": 1 for number in range(65)}), 422, "overrides"),
    "override null": (changed(overrides={"wind_speed": None}), 422, "overrides.wind_speed"),
    "override boolean": (changed(overrides={"wind_speed": True}), 422, "overrides.wind_speed"),
    "override beyond float32": (changed(overrides={"wind_speed": 1e300}), 422, "overrides.wind_speed"),
    "override of a request feature": (changed(overrides={"departure_hour": 25}), 422, "overrides.departure_hour"),
    "minus infinity": (changed(overrides={"wind_speed": float("-inf")}), 400, "body"),
    "repeated key inside overrides": (
        changed(overrides={"wind_speed": 1}).replace(b": 1}", b': 1, "wind_speed": 2}'),
        400,
        "body",
    ),
    "half a surrogate pair as key": (changed(overrides={"A": 1}).replace(b'"A"', b'"\\ud800"'), 400, "body"),
    "a thousand closed brackets": (b"[" * 1000 + b"]" * 1000, 400, "body"),
    "a thousand brackets in a field": (b'{"carrier": ' + b"[" * 1000 + b"]" * 1000 + b"}", 400, "body"),
    "byte order mark": (b"\xef\xbb\xbf" + changed(), 400, "body"),
    "something after the end": (changed() + b" 1", 400, "body"),
    "null": (b"null", 422, "body"),
    "a number": (b"5", 422, "body"),
    "a text": (b'"x"', 422, "body"),
}

OUTCOMES = {
    "id in capitals": ({"id": ID.upper(), "arrival_delay_minutes": 1}, "id"),
    "id too long": ({"id": ID + "0", "arrival_delay_minutes": 1}, "id"),
    "id a number": ({"id": 5, "arrival_delay_minutes": 1}, "id"),
    "no minutes": ({"id": ID}, "arrival_delay_minutes"),
    "minutes as text": ({"id": ID, "arrival_delay_minutes": "5"}, "arrival_delay_minutes"),
    "minutes true": ({"id": ID, "arrival_delay_minutes": True}, "arrival_delay_minutes"),
    "a year late": ({"id": ID, "arrival_delay_minutes": 525_600}, "arrival_delay_minutes"),
    "a year early": ({"id": ID, "arrival_delay_minutes": -525_600}, "arrival_delay_minutes"),
    "unknown field": ({"id": ID, "arrival_delay_minutes": 1, "note": SECRET}, "note"),
}


@pytest.mark.parametrize("path", ["/v1/predictions", "/v1/features/vector"])
@pytest.mark.parametrize("case", list(PREDICTIONS))
def test_bad_predictions_are_refused(service: Running, path: str, case: str) -> None:
    body, status, field = PREDICTIONS[case]
    check(requests.post(service.url + path, data=body, headers=JSON, timeout=PATIENCE), status, field)


@pytest.mark.parametrize("case", list(OUTCOMES))
def test_bad_outcomes_are_refused(service: Running, case: str) -> None:
    body, field = OUTCOMES[case]
    check(service.post("/v1/outcomes", body), 422, field)


def test_a_wrong_type_in_a_batch_names_the_flight(service: Running) -> None:
    body = {"flights": [FLIGHT, {**FLIGHT, "carrier": 5}]}
    check(service.post("/v1/predictions/batch", body), 422, "flights.1.carrier")


def test_a_wrong_code_in_a_batch_names_the_flight(service: Running) -> None:
    body = {"flights": [FLIGHT, {**FLIGHT, "carrier": "ZZ"}]}
    check(service.post("/v1/predictions/batch", body), 422, "flights.1.carrier")


@pytest.mark.parametrize("fields", [{"overrides": {SECRET * 60_000: 1}}, {SECRET * 60_000: 1}])
def test_an_answer_does_not_grow_with_a_name_that_was_sent(service: Running, fields: dict[str, Any]) -> None:
    answer = service.post("/v1/predictions", {**FLIGHT, **fields})
    assert answer.status_code == 422
    assert len(answer.content) < 5000


@pytest.mark.parametrize("path", ["/v1/predictions", "/v1/predictions/batch", "/v1/features/vector", "/v1/outcomes"])
def test_a_body_that_never_ends_is_cut_off_wherever_it_is_sent(service: Running, path: str) -> None:
    declared = (
        b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n"
    )
    assert raw(service, declared % path.encode()).startswith(b"HTTP/1.1 413 ")
    answer = requests.post(service.url + path, data=(b" " * 65536 for _ in range(32)), headers=JSON, timeout=PATIENCE)
    check(answer, 413, "body")


@pytest.mark.parametrize("sent", ["text/json", "application/x-www-form-urlencoded", "application/json2", ""])
def test_only_json_is_read(service: Running, sent: str) -> None:
    answer = requests.post(
        service.url + "/v1/predictions", data=changed(), headers={"Content-Type": sent}, timeout=PATIENCE
    )
    check(answer, 415, "Content-Type")


def test_a_charset_after_the_content_type_is_fine(service: Running) -> None:
    header = {"Content-Type": "Application/JSON; charset=utf-8"}
    answer = requests.post(service.url + "/v1/predictions", data=changed(), headers=header, timeout=PATIENCE)
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/static/%2e%2e/%2e%2e/secret", "/static/..%2f..%2fsecret", "//etc/passwd"])
def test_no_file_outside_the_docs_is_served(service: Running, path: str) -> None:
    answer = raw(service, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x00\r\n\r\n",
        b"POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
    ids=["TLS", "negative length", "broken chunk"],
)
def test_what_is_not_http_gets_400(service: Running, request_bytes: bytes) -> None:
    assert raw(service, request_bytes).startswith(b"HTTP/1.1 400 ")


def test_a_body_that_does_not_come_is_not_waited_for(home: Path, tmp_path: Path) -> None:
    begun = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    with running(own_home(home, tmp_path), environment={"LABSERVER_REQUEST_TIMEOUT_SECONDS": "0.5"}) as service:
        for path in (b"/v1/predictions", b"/v1/predictions/batch"):
            started = time.monotonic()
            answer = raw(service, begun % path)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"connection: close" in answer
            assert time.monotonic() - started > 0.4
        assert '"fault"' not in service.logged()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/predictions",
        "/v1/predictions/batch",
        "/v1/outcomes",
    ],
)
def test_a_client_that_hangs_up_is_no_fault_of_ours(home: Path, tmp_path: Path, path: str) -> None:
    begun = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    )
    with running(own_home(home, tmp_path)) as service:
        raw(service, begun.encode(), answer=False)
        until(lambda: f'"route":"{path}"' in service.log.read_text(), "The request is not in the log.")
        text = service.logged()
        assert '"fault"' not in text
        assert "Traceback" not in text
        assert service.post("/v1/predictions", FLIGHT).status_code == 200


def test_singles_batches_and_vectors_at_once_do_not_mix(service: Running) -> None:
    """The event loop and the thread pool share one connection to the store."""
    routes = [("EWR", "ORD"), ("JFK", "LAX"), ("LGA", "ORD")]
    flights = [
        {**FLIGHT, "origin": origin, "dest": dest, "tailnum": tailnum}
        for origin, dest in routes
        for tailnum in ("N14228", None, "N999ZZ")
    ]
    expected = [service.post("/v1/predictions", flight).json()["probability"] for flight in flights]
    assert len(set(expected)) >= 6

    def batches() -> None:
        for _ in range(8):
            answer = service.post("/v1/predictions/batch", {"flights": flights * 20}).json()["predictions"]
            assert [prediction["probability"] for prediction in answer] == expected * 20

    def singles() -> None:
        for _ in range(20):
            found = [service.post("/v1/predictions", flight).json()["probability"] for flight in flights]
            assert found == expected

    def vectors() -> None:
        for _ in range(10):
            for flight in flights:
                assert service.post("/v1/features/vector", flight).status_code == 200

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(work) for work in (batches, singles, vectors) * 2]:
            done.result(timeout=PATIENCE)


def test_nothing_of_all_this_is_in_the_log(service: Running) -> None:
    """Sends a few of the worst itself, so that it means something when it runs alone."""
    for body, _, _ in PREDICTIONS.values():
        requests.post(service.url + "/v1/predictions", data=body, headers=JSON, timeout=PATIENCE)
    for outcome, _ in OUTCOMES.values():
        service.post("/v1/outcomes", outcome)
    assert service.post("/v1/predictions", FLIGHT).status_code == 200
    assert service.process.poll() is None
    text = service.logged()
    assert text.count('"status":422') >= 20
    for word in ('"fault"', "Traceback", "Warning", SECRET, "DROP TABLE", "N14228", ID):
        assert word not in text
