"""Several models behind one catalogue, live: what each wants, what does not start, what a second one costs."""

from __future__ import annotations

import hashlib
import pickle
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from awaiting import until
from services import FLIGHT, Running, own_home, refusal, running

from labserver.features.catalogue import Catalogue
from labserver.features.signature import Signature
from labserver.pipeline.export import export
from labserver.pipeline.training import new_model
from labserver.settings import Settings

pytestmark = pytest.mark.slow

WEATHER = ["visibility", "departure_hour", "humidity", "wind_speed"]
"""What the small challenger wants, in an order of its own."""

PART = """
from pathlib import Path
from labserver.model.predictor import OnnxPredictor

def {part}(context{more}):
    return OnnxPredictor(Path({file!r}).read_bytes())
"""

BROKEN = """
import time

class Broken:
    def __init__(self, signature):
        self.signature = signature

    def probabilities(self, matrix):
        {does}

def shadow(context):
    return Broken(context.bundle.signature)
"""

SHIFTED = """
from dataclasses import replace
from labserver.features.catalogue import Catalogue
from labserver.features.definitions import CATALOGUE

def catalogue(settings):
    first, *others = CATALOGUE.groups
    hour, weekday = first.features
    hour = replace(hour, request=lambda minute, weekday: (minute + 240) / 60.0)
    return Catalogue((replace(first, features=(hour, weekday)), *others))
"""


@pytest.fixture(scope="module")
def held_out(settings: Settings) -> Any:
    return pickle.loads(settings.experiment.read_bytes())["held_out"].dropna()


def challenger(held_out: Any, names: list[str], catalogue: Catalogue, file: Path) -> Any:
    """A model fitted on some features, exported to ``file``; gives the fitted one."""
    model = new_model().fit(held_out[names], held_out["late"].astype(bool))
    file.write_bytes(export(model, Signature.of(catalogue, names)))
    return model


def predicted(service: Running, model: Any, names: list[str]) -> tuple[float, float]:
    """The service's answer, and the model's own to the values that the service shows, taken by name."""
    answer = service.post("/v1/predictions", FLIGHT)
    assert answer.status_code == 200, answer.text
    shown = {v["name"]: v["value"] for v in service.post("/v1/features/vector", FLIGHT).json()["values"]}
    row = np.array([[shown[name] for name in names]], np.float32)
    return answer.json()["probability"], float(model.predict_proba(row)[0, 1])


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("reverse", [False, True], ids=["a subset", "all columns reversed"])
def test_a_challenger_gets_its_own_features_by_name(
    home: Path, tmp_path: Path, held_out: Any, catalogue: Catalogue, reverse: bool
) -> None:
    names = list(reversed(catalogue.names)) if reverse else WEATHER
    model = challenger(held_out, names, catalogue, tmp_path / "other.onnx")
    part = tmp_path / "challenger.py"
    part.write_text(PART.format(part="predictor", more=", threads", file=str(tmp_path / "other.onnx")))
    with running(own_home(home, tmp_path / "home"), environment={"LABSERVER_PARTS": str(part)}) as service:
        ours, theirs = predicted(service, model, names)
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_a_model_that_names_nothing_and_a_catalogue_that_shifts_an_hour_do_not_start(
    home: Path, tmp_path: Path, settings: Settings
) -> None:
    import onnx

    graph = onnx.load_from_string((settings.bundle / "model.onnx").read_bytes())
    del graph.metadata_props[:]
    (tmp_path / "nameless.onnx").write_bytes(graph.SerializeToString())
    part = tmp_path / "part.py"
    part.write_text(PART.format(part="predictor", more=", threads", file=str(tmp_path / "nameless.onnx")))
    code, said = refusal(own_home(home, tmp_path / "home"), LABSERVER_PARTS=str(part))
    assert (code, "does not say which features it wants" in said) == (1, True)
    part.write_text(SHIFTED)
    code, said = refusal(own_home(home, tmp_path / "other"), LABSERVER_PARTS=str(part))
    assert (code, "it wants departure_hour in version" in said) == (1, True)


def rows(service: Running) -> list[tuple[Any, ...]]:
    """Each prediction of the log with the second model's answer, if there is one."""
    log = Settings(home=service.home).prediction_log
    if not log.exists():
        return []
    with closing(sqlite3.connect(f"file:{log}?mode=ro", uri=True)) as db:
        # The file is there a moment before its tables.
        if db.execute("SELECT count(*) FROM sqlite_master WHERE name IN ('predictions', 'shadow')").fetchone()[0] < 2:
            return []
        query = "SELECT p.score, s.score, s.model_version FROM predictions AS p LEFT JOIN shadow AS s USING (id)"
        return db.execute(query).fetchall()


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_a_shadow_with_other_features_answers_beside_and_is_logged(
    home: Path, tmp_path: Path, held_out: Any, catalogue: Catalogue
) -> None:
    model = challenger(held_out, WEATHER, catalogue, tmp_path / "other.onnx")
    part = tmp_path / "shadow.py"
    part.write_text(PART.format(part="shadow", more="", file=str(tmp_path / "other.onnx")))
    with running(own_home(home, tmp_path / "plain")) as service:
        champion = service.post("/v1/predictions", FLIGHT).json()["probability"]
    with running(own_home(home, tmp_path / "home"), environment={"LABSERVER_PARTS": str(part)}) as service:
        ours, theirs = predicted(service, model, WEATHER)
        until(lambda: service.get("/v1/monitor").json()["shadow"] == {"answers": 1, "errors": 0, "dropped": 0})
        until(lambda: len(rows(service)) == 1 and rows(service)[0][1] is not None)
        [(score, beside, version)] = rows(service)
        assert 'shadow_predictions_total{result="answers"} 1.0' in service.get("/metrics").text
    assert ours == champion == score
    assert beside == pytest.approx(theirs, abs=1e-6)
    assert version == hashlib.sha256((tmp_path / "other.onnx").read_bytes()).hexdigest()[:12]


@pytest.fixture(params=["raise RuntimeError('no')", "time.sleep(600)"], ids=["raises", "hangs"])
def broken(request: pytest.FixtureRequest, home: Path, tmp_path: Path) -> Iterator[Running]:
    part = tmp_path / "shadow.py"
    part.write_text(BROKEN.format(does=request.param))
    with running(own_home(home, tmp_path / "home"), environment={"LABSERVER_PARTS": str(part)}) as service:
        yield service


def test_a_shadow_that_raises_or_hangs_costs_no_answer(broken: Running) -> None:
    statuses = {broken.post("/v1/predictions", FLIGHT).status_code for _ in range(50)}
    until(lambda: len(rows(broken)) == 50)
    assert statuses == {200}
    assert all(beside is None for _, beside, _ in rows(broken))
    assert broken.get("/readyz").status_code == 200
