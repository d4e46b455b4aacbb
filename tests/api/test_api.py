from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from awaiting import PATIENCE
from services import FLIGHT, Running, own_home, running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(own_home(home, tmp_path_factory.mktemp("home"))) as started:
        yield started


def test_a_prediction_has_every_field(service: Running) -> None:
    answer = service.post("/v1/predictions", FLIGHT)
    assert answer.status_code == 200
    body = answer.json()
    assert re.fullmatch("[0-9a-f]{32}", body["id"])
    assert 0 < body["probability"] < 1
    assert body["decision"] == ("warn" if body["probability"] > 0.25 else "no_warning")
    model = service.get("/v1/model").json()
    assert (body["model_version"], body["features_version"]) == (model["model_version"], model["features_version"])
    assert (body["adjusted"], body["stale"]) == ([], [])


def test_a_batch_answers_in_order(service: Running) -> None:
    flights = [{**FLIGHT, "overrides": {"visibility": v}} for v in (0.1, 10, 2)]
    batch = service.post("/v1/predictions/batch", {"flights": flights}).json()["predictions"]
    single = [service.post("/v1/predictions", flight).json() for flight in flights]
    assert [a["probability"] for a in batch] == [a["probability"] for a in single]
    assert batch[0]["probability"] != batch[1]["probability"]


def test_outcomes_are_idempotent_and_on_disk(service: Running) -> None:
    prediction = service.post("/v1/predictions", FLIGHT).json()["id"]
    outcome = {"id": prediction, "arrival_delay_minutes": 12.0}
    assert [service.post("/v1/outcomes", outcome).status_code for _ in range(2)] == [202, 202]
    conflict = service.post("/v1/outcomes", {**outcome, "arrival_delay_minutes": None})
    assert (conflict.status_code, conflict.headers["content-type"]) == (409, "application/problem+json")
    with closing(sqlite3.connect(service.home / "state/outcomes.db")) as db:
        assert db.execute("SELECT arrival_delay_minutes FROM outcomes WHERE id = ?", (prediction,)).fetchall() == [
            (12,)
        ]


def test_the_vector_shows_origin_and_age(service: Running) -> None:
    body = {**FLIGHT, "overrides": {"wind_speed": 40}, "as_of": "2013-09-01T00:30:00-04:00"}
    vector = service.post("/v1/features/vector", body).json()
    names = [f["name"] for group in service.get("/v1/features").json()["groups"] for f in group["features"]]
    assert [value["name"] for value in vector["values"]] == names
    values = {value["name"]: value for value in vector["values"]}
    assert (values["wind_speed"]["value"], values["wind_speed"]["origin"]) == (40, "override")
    assert (values["origin_delay"]["origin"], values["origin_delay"]["age_seconds"]) == ("airport_now", 1800)


def test_the_catalogue_shows_both_ranges_and_the_model_its_baselines(service: Running) -> None:
    features = [f for group in service.get("/v1/features").json()["groups"] for f in group["features"]]
    assert all(f["possible"][0] <= f["seen"][0] <= f["seen"][1] <= f["possible"][1] for f in features)
    model = service.get("/v1/model").json()
    assert {"model", "logistic_regression", "base_rate", "calibration"} <= set(model["metrics"])
    assert model["training_window"] == ["2013-01-01", "2013-08-31"]
    assert all(re.fullmatch("[0-9a-f]{64}", entry["sha256"]) for entry in model["files"].values())


def test_openapi_shows_the_ranges_of_the_catalogue(service: Running) -> None:
    schemas = service.get("/openapi.json").json()["components"]["schemas"]
    [shown, _] = schemas["PredictionRequest"]["properties"]["overrides"]["anyOf"]
    ranges = {name: [value["minimum"], value["maximum"]] for name, value in shown["properties"].items()}
    groups = service.get("/v1/features").json()["groups"]
    assert ranges == {feature["name"]: feature["possible"] for group in groups for feature in group["features"]}
    assert shown["additionalProperties"] is False


def test_the_docs_need_no_internet(service: Running) -> None:
    page = service.get("/docs").text
    linked = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(linked) >= 3
    assert not [link for link in linked if "//" in link]
    assert all(service.get("/" + link).status_code == 200 for link in linked)
    schema = service.get("/openapi.json").json()
    assert "PredictionRequest" in json.dumps(schema["paths"]["/v1/predictions"]["post"]["requestBody"])


def changed(**fields: Any) -> bytes:
    return json.dumps({**FLIGHT, **fields}).encode()


BAD = {
    "flight as text": (changed(flight="1545"), 422, "flight"),
    "carrier as number": (changed(carrier=5), 422, "carrier"),
    "no origin": (changed(origin=None), 422, "origin"),
    "boolean flight": (changed(flight=True), 422, "flight"),
    "unknown carrier": (changed(carrier="ZZ"), 422, "carrier"),
    "unknown origin": (changed(origin="BOS"), 422, "origin"),
    "unknown dest": (changed(dest="XXX"), 422, "dest"),
    "naive time": (changed(scheduled_departure="2013-09-01T01:30:00"), 422, "scheduled_departure"),
    "unix time": (changed(scheduled_departure=1378013400), 422, "scheduled_departure"),
    "unix time as text": (changed(scheduled_departure="1378013400"), 422, "scheduled_departure"),
    "the 30th of February": (changed(scheduled_departure="2013-02-30T01:30:00Z"), 422, "scheduled_departure"),
    "year 1": (changed(scheduled_departure="0001-01-01T00:00:00+14:00"), 422, "scheduled_departure"),
    "before the data": (changed(scheduled_departure="2012-09-01T01:30:00Z"), 422, "scheduled_departure"),
    "after the data": (changed(scheduled_departure="2015-09-01T01:30:00Z"), 422, "scheduled_departure"),
    "asked before the clock": (changed(as_of="2013-08-31T00:00:00Z"), 422, "as_of"),
    "asked after departure": (changed(as_of="2013-09-01T02:30:00-04:00"), 422, "as_of"),
    "unknown field": (changed(tail="N1"), 422, "tail"),
    "unknown feature": (changed(overrides={"snow": 1}), 422, "overrides.snow"),
    "impossible value": (changed(overrides={"wind_speed": 1048}), 422, "overrides.wind_speed"),
    "text as value": (changed(overrides={"wind_speed": "9"}), 422, "overrides.wind_speed"),
    "NaN": (changed(overrides={"wind_speed": float("nan")}), 400, "body"),
    "infinity": (changed(overrides={"wind_speed": float("inf")}), 400, "body"),
    "1e999": (changed(overrides={"wind_speed": 1}).replace(b": 1}", b": 1e999}"), 422, "overrides.wind_speed"),
    "twice the same key": (b'{"carrier": "UA", ' + changed()[1:], 400, "body"),
    "not JSON": (b"carrier=UA", 400, "body"),
    "a list": (b"[]", 422, "body"),
    "nothing": (b"", 400, "body"),
    "bad UTF-8": (changed(carrier="UA").replace(b"UA", b"\xff\xfe"), 400, "body"),
    "a thousand brackets": (b"[" * 1000, 400, "body"),
    "2 MiB": (changed(carrier="U" * 2**21), 413, "body"),
}


@pytest.mark.parametrize("path", ["/v1/predictions", "/v1/features/vector"])
@pytest.mark.parametrize("case", list(BAD))
def test_bad_input_is_refused_and_the_field_named(service: Running, path: str, case: str) -> None:
    body, status, field = BAD[case]
    answer = requests.post(
        service.url + path, data=body, headers={"Content-Type": "application/json"}, timeout=PATIENCE
    )
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["errors"][0]["field"] == field
    assert problem["errors"][0]["allowed"]
    assert len(answer.content) < 5000


def test_other_bad_requests(service: Running) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(33):
            yield b" " * 65536

    json_type = {"Content-Type": "application/json"}
    post, url = requests.post, service.url + "/v1/predictions"
    for answer, status in (
        (post(url, data=chunks(), headers=json_type, timeout=PATIENCE), 413),
        (post(url, data=changed(), headers={"Content-Type": "text/plain"}, timeout=PATIENCE), 415),
        (post(url, data=changed(), timeout=PATIENCE), 415),
        (service.post("/v1/predictions/batch", {"flights": [FLIGHT] * 1001}), 422),
        (service.post("/v1/predictions/batch", {"flights": []}), 422),
        (service.post("/v1/outcomes", {"id": "x", "arrival_delay_minutes": 1}), 422),
        (service.get("/v1/predictions"), 405),
        (service.get("/nowhere"), 404),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text


def test_the_log_is_json_and_tells_nothing_about_anyone(service: Running) -> None:
    marked = requests.post(
        service.url + "/v1/predictions?secret=1", json=FLIGHT, headers={"X-Request-ID": "my-id-1"}, timeout=PATIENCE
    )
    assert marked.headers["x-request-id"] == "my-id-1"
    forged = requests.get(service.url + "/healthz", headers={"X-Request-ID": "a b" * 200}, timeout=PATIENCE)
    assert re.fullmatch("[0-9a-f]{32}", forged.headers["x-request-id"])
    text = service.logged()
    lines = [json.loads(line) for line in text.splitlines()]
    [line] = [line for line in lines if line.get("request_id") == "my-id-1"]
    assert (line["method"], line["route"], line["status"]) == ("POST", "/v1/predictions", 200)
    assert not [line for line in lines if line["event"] == "fault"]
    for private in ("N14228", "secret", "Traceback", "a b"):
        assert private not in text
    assert '"127.0.0.1:' not in text


def test_no_training_library_is_in_a_stage_9_process(service: Running) -> None:
    service.post("/v1/predictions", FLIGHT)
    mapped = Path(f"/proc/{service.process.pid}/maps").read_text()
    assert "onnxruntime" in mapped
    assert not [name for name in ("sklearn", "/scipy/", "pandas", "duckdb", "pyarrow", "/onnx/") if name in mapped]
