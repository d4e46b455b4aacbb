"""Every notebook run with other parameters against a fresh service, by a learner who has solved all exercises: what it
claims is no accident of one day.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from ahead import alone, prepare
from claims import NOTEBOOKS, NOTEBOOKS_FOLDER, check, lesson_of, parameters_of
from runs import LIMIT, kept, note, timed
from services import Running, own_home, running

from exercises.checks.registry import EXERCISES

pytestmark = pytest.mark.slow

OTHER: dict[str, Any] = {"DAY": "2013-11-19", "FLIGHTS": 120, "LOAD": 10}
"""Another day of flights, fewer of them, a smaller load."""


@pytest.fixture(scope="module")
def fresh(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that nobody has asked yet."""
    with running(own_home(home, tmp_path_factory.mktemp("fresh"))) as service:
        yield service


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A learner's folder with the solution of every exercise."""
    folder = tmp_path_factory.mktemp("work")
    for exercise in EXERCISES:
        shutil.copyfile(exercise.solution, folder / exercise.file)
    return folder


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_holds_with_other_parameters(
    notebook: Path, fresh: Running, solved: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABSERVER_URL", fresh.url)
    monkeypatch.setenv("LABSERVER_HOME", str(home))
    monkeypatch.setenv("LAB_WORK", str(solved))
    given = parameters_of(notebook)
    other = {name: OTHER[name] for name in given}
    assert all(other[name] != value for name, value in given.items())
    prepare(notebook, home)
    outputs = kept("papermill", notebook)
    with alone(notebook), timed() as taken:
        papermill.execute_notebook(
            notebook,
            outputs,
            other,
            kernel_name="python3",
            cwd=NOTEBOOKS_FOLDER,
            progress_bar=False,
            execution_timeout=900,
        )
    last = [cell for cell in nbformat.read(outputs, as_version=4).cells if cell.cell_type == "code"][-1]
    assert ": solved" in last.outputs[0].data["text/plain"]
    note("papermill", notebook, taken, check(outputs, lesson_of(notebook)))
    assert taken.processor_seconds < LIMIT
