"""Builds that meet one another, or what a killed one left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from awaiting import PATIENCE
from numpy.typing import NDArray
from services import FLIGHT, own_home, refusal, running, store_of
from sklearn.ensemble import HistGradientBoostingClassifier

from labserver.features.definitions import CATALOGUE
from labserver.model.bundle import load_bundle
from labserver.pipeline import clock
from labserver.pipeline.build import Steps, _keep_or_replace_store, build_bundle, one_at_a_time
from labserver.pipeline.freshness import is_current
from labserver.pipeline.sources import build_warehouse
from labserver.pipeline.training import TRAINED_UNTIL, new_model
from labserver.settings import Settings

pytestmark = pytest.mark.slow

KILLED = (
    "import duckdb, os, sys; db = duckdb.connect(sys.argv[1]); db.execute('CREATE TABLE half AS SELECT 1'); os._exit(9)"
)

HOLDING = """
import sys, time
from pathlib import Path
from labserver.features.definitions import CATALOGUE
from labserver.model.bundle import load_bundle
from labserver.pipeline import clock
from labserver.pipeline.build import one_at_a_time
from labserver.pipeline.freshness import is_current
with one_at_a_time(Path(sys.argv[1]), print):
    print("held", flush=True)
    time.sleep(600)
"""


def test_what_a_killed_build_left_beside_the_warehouse_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False).returncode == 9
    assert (tmp_path / "warehouse.duckdb.wal").stat().st_size > 0
    build_warehouse(path)
    with duckdb.connect(str(path)) as db:  # for writing: a build writes the features' history next
        assert db.execute("SELECT count(*) FROM flights").fetchall() == [(336_776,)]
        assert ("half",) not in db.execute("SHOW TABLES").fetchall()


def test_a_second_build_in_a_folder_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    waiting, done = threading.Event(), threading.Event()

    def say(line: str) -> None:
        said.append(line)
        waiting.set()

    def second() -> None:
        with one_at_a_time(tmp_path, say):
            done.set()

    with one_at_a_time(tmp_path, said.append):
        assert said == []
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(PATIENCE)
        assert not done.wait(0.2)
    assert done.wait(PATIENCE)
    thread.join()
    assert said == ["waiting: another build is at work in this folder"]


def test_a_killed_build_does_not_hold_the_folder(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDING, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        other.kill()
    with one_at_a_time(tmp_path, pytest.fail):  # called, it would say that another build is at work
        pass


WIDER = """
from dataclasses import replace
from datetime import timedelta
from labserver.features.catalogue import Catalogue, Feature, Group, Range
from labserver.features.definitions import CATALOGUE

GUST = Feature(name="gust", unit="mph", meaning="Gusts of the hour", owner="weather", possible=Range(0, 200))
GUSTS = Group(
    name="airport_gusts", kind="weather", entity=("origin",), source="weather", freshness=timedelta(hours=3),
    sql="SELECT known_at, origin, wind_gust AS gust FROM weather", features=(GUST,),
)

def catalogue(settings):
    return Catalogue((*CATALOGUE.groups, GUSTS))
"""


def copied(home: Path, folder: Path) -> Path:
    """A home that a build may write to: what was built, as copies."""
    name = (home / "bundle").resolve().name
    shutil.copytree(home / "bundles" / name, folder / "bundles" / name)
    (folder / "bundle").symlink_to(Path("bundles") / name)
    shutil.copytree(home / "teaching", folder / "teaching")
    shutil.copyfile(home / "warehouse.duckdb", folder / "warehouse.duckdb")
    return folder


def build(home: Path, *arguments: str) -> str:
    """What ``labserver build`` prints."""
    command = [sys.executable, "-m", "labserver", "build", *arguments]
    environment = os.environ | {"LABSERVER_HOME": str(home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_build_beside_a_running_service_changes_neither_its_answers_nor_its_clock(home: Path, tmp_path: Path) -> None:
    part = tmp_path / "wider.py"
    part.write_text(WIDER)
    whole = copied(home, tmp_path / "whole")
    october = datetime.fromisoformat("2013-10-01T12:00:00-04:00")
    flight = FLIGHT | {"scheduled_departure": "2013-10-01T15:30:00-04:00"}
    with running(whole) as service:
        clock.move(Settings(home=whole), CATALOGUE, october)
        before = service.post("/v1/features/vector", flight).json()
        assert datetime.fromisoformat(before["clock"]) == october
        first = load_bundle(whole / "bundle").name
        build(whole, "--keep-model", "--parts", str(part))
        assert load_bundle(whole / "bundle").name != first
        assert service.post("/v1/features/vector", flight).json() == before
        build(whole)
        assert load_bundle(whole / "bundle").name == first, "or labserver changed since the home folder was built"
        assert service.post("/v1/features/vector", flight).json() == before
        assert service.ready()
    store_of(whole).write_bytes(b"garbage" * 1000)
    assert not is_current(Settings(home=whole))
    build(whole, "--keep-model")
    with running(whole) as service:
        assert datetime.fromisoformat(service.get("/v1/monitor").json()["clock"]) == TRAINED_UNTIL


@pytest.mark.slow
def test_a_stored_feature_more_needs_a_build_that_keeps_the_model_and_changes_no_answer(
    home: Path, tmp_path: Path
) -> None:
    part = tmp_path / "wider.py"
    part.write_text(WIDER)
    folder = own_home(home, tmp_path / "home")
    with running(folder) as service:
        before = service.post("/v1/predictions", FLIGHT).json()
    code, said = refusal(folder, LABSERVER_PARTS=str(part))
    assert (code, "gust" in said, "labserver build --keep-model" in said) == (1, True, True)
    whole = copied(home, tmp_path / "whole")
    assert "training" not in build(whole, "--keep-model", "--parts", str(part))
    assert load_bundle(whole / "bundle").golden.shown() == load_bundle(home / "bundle").golden.shown()
    for lesson in (7, 9):
        with running(
            own_home(whole, tmp_path / str(lesson)), lesson=lesson, environment={"LABSERVER_PARTS": str(part)}
        ) as service:
            after = service.post("/v1/predictions", FLIGHT).json()
            shown = [value["name"] for value in service.post("/v1/features/vector", FLIGHT).json()["values"]]
        assert after["probability"] == pytest.approx(before["probability"], abs=1e-7 if lesson == 7 else 0)
        assert after["model_version"] == before["model_version"]
        assert after["features_version"] != before["features_version"]
        assert shown[-1] == "gust"


@pytest.mark.slow
def test_another_model_on_the_same_features_has_the_same_store_and_clock(home: Path, tmp_path: Path) -> None:
    whole = copied(home, tmp_path / "whole")
    chosen, said = Settings(home=whole), list[str]()
    october = datetime.fromisoformat("2013-10-01T12:00:00-04:00")
    first = load_bundle(chosen.bundle)
    clock.move(chosen, CATALOGUE, october)
    store = store_of(whole)

    def small(used: pd.DataFrame, late: NDArray[np.bool_]) -> HistGradientBoostingClassifier:
        return new_model().set_params(max_iter=3).fit(used, late)

    build_bundle(chosen, CATALOGUE, Steps(said.append), small, gate=False)
    second = load_bundle(chosen.bundle)
    assert second.manifest["model_version"] != first.manifest["model_version"]
    assert (store_of(whole), clock.read(chosen, CATALOGUE)) == (store, october)
    assert store.name == f"online-{first.manifest['features_version']}.db"
    assert [line for line in said if "fresh-store" in line] == []
    changed = dict(first.manifest) | {"files": first.manifest["files"] | {"online.db": {"sha256": "0", "bytes": 1}}}
    _keep_or_replace_store(chosen, CATALOGUE, changed, said.append)
    assert "`labserver serve --fresh-store`" in said[-1]
    assert clock.read(chosen, CATALOGUE) == october
