"""All solutions together in the live service: a build with their catalogue, the interface's tests, and parity."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from services import FLIGHT, Running, own_home, running

from exercises.checks.registry import EXERCISES, SOLUTIONS
from exercises.checks.result import Result, State
from exercises.lab.course import RESULTS, Course
from exercises.lab.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """``lab serve`` on a folder in which everything is solved; it builds with the learner's catalogue."""
    folder, work = own_home(home, tmp_path_factory.mktemp("home")), tmp_path_factory.mktemp("work")
    solved = {}
    for exercise in EXERCISES:
        answer = exercise.solution.read_text(encoding="utf-8")
        (work / exercise.file).write_text(answer, encoding="utf-8")
        solved[exercise.file] = {"content": answer, "result": Result(exercise.lesson, State.SOLVED).to_json()}
    (work / RESULTS).write_text(json.dumps(solved), encoding="utf-8")
    Course(Workspace(work)).publish(folder / "progress.json")
    serve = [sys.executable, "-m", "exercises.lab.cli", "serve"]
    with running(folder, environment={"LAB_WORK": str(work)}, program=serve) as started:
        yield started


@pytest.fixture(scope="module")
def own(service: Running) -> Path:
    """The home folder that was built with the learner's catalogue."""
    return service.home / "own"


def test_parts_of_all_lessons_are_in_force(service: Running) -> None:
    parts = service.get("/v1/monitor").json()["parts"]
    own = {part["part"] for part in parts if part["own"]}
    assert own == {
        *("catalogue", "completion", "ranges", "decision", "loader", "threads", "admission", "predictor", "drift"),
    }


def test_the_page_is_told_that_all_ten_are_the_learners(service: Running) -> None:
    shown = service.get("/v1/monitor").json()["exercises"]
    assert [(exercise["lesson"], exercise["whose"]) for exercise in shown] == [(n, "yours") for n in range(10)]


def test_the_learners_features_are_in_the_catalogue_the_signature_and_the_vector(service: Running) -> None:
    shown = [feature["name"] for group in service.get("/v1/features").json()["groups"] for feature in group["features"]]
    vector = service.post("/v1/features/vector", FLIGHT).json()["values"]
    assert [value["name"] for value in vector] == shown
    assert len(shown) == 19


def test_served_vectors_are_training_vectors(service: Running, own: Path) -> None:
    command = [sys.executable, "-m", "labserver.cli", "replay", "--from", "2013-10-15", "--days", "1", "--every", "10"]
    environment = os.environ | {"LABSERVER_HOME": str(own), "LABSERVER_PARTS": str(SOLUTIONS)}
    done = subprocess.run(
        [*command, "--url", service.url], env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 of" in done.stdout + done.stderr


def test_the_interface_is_as_ever(own: Path) -> None:
    """The service's own tests, on these parts. Lesson 5 has other costs; lesson 8's trees come from the experiment."""
    tests = Path(__file__).parents[1] / "api" / "test_api.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not training_library", str(tests)]
    environment = os.environ | {"LABSERVER_HOME": str(own), "LABSERVER_PARTS": str(SOLUTIONS)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
