"""Every notebook run strictly: what is stored is what the cells answer today, except where a cell says otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from artefacts import LIMIT_SECONDS, kept, note
from claims import FOLDER, NOTEBOOKS, check, lesson_of
from running import Running, own_home, running

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def finished(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One finished service for all notebooks."""
    with running(own_home(home, tmp_path_factory.mktemp("finished"))) as service:
        yield service


def nbval(notebook: Path, outputs: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "--color=no", "-q"]
    command += ["--nbval-sanitize-with", str(HERE / "sanitize.cfg"), "--nbval-cell-timeout", "120"]
    command += ["-p", "no:cacheprovider", "-p", "keep_outputs", "--keep-outputs", str(outputs), str(notebook)]
    path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        command,
        env=os.environ | environment | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_are_current(notebook: Path, finished: Running, home: Path) -> None:
    outputs = kept("nbval", notebook)
    started = time.perf_counter()
    done = nbval(notebook, outputs, {"LABSERVER_URL": finished.url, "LABSERVER_HOME": str(home)})
    seconds = time.perf_counter() - started
    assert done.returncode == 0, done.stdout[-6000:]
    cells = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    assert f"{len(cells)} passed" in done.stdout
    note("nbval", notebook, seconds, check(outputs, lesson_of(notebook)))
    assert seconds < LIMIT_SECONDS


CLAIM = """import sys; sys.path.insert(0, {folder!r}); from kit import claim
claim(0, "answer", {value}, "apples", at_least=2)"""


@pytest.mark.parametrize(
    ("stored", "now", "passes"),
    [
        (CLAIM.format(folder=str(FOLDER), value=3), CLAIM.format(folder=str(FOLDER), value=4), True),
        (
            CLAIM.format(folder=str(FOLDER), value=3),
            CLAIM.format(folder=str(FOLDER), value=3).replace("at_least=2", "at_least=1"),
            False,
        ),
        (CLAIM.format(folder=str(FOLDER), value=3), CLAIM.format(folder=str(FOLDER), value=1), False),
        ("print('a share of 0.5')", "print('a share of 0.6')", False),
    ],
    ids=["another value", "another bound", "a claim that fails", "another output"],
)
def test_the_run_is_strict(stored: str, now: str, passes: bool, home: Path, tmp_path: Path) -> None:
    """A measured value may change; a bound, a failed claim or any other output may not."""
    from execute import execute

    path = tmp_path / "99_small.ipynb"
    (tmp_path / "conftest.py").write_text((FOLDER / "conftest.py").read_text())
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(stored)]), path)
    notebook = execute(path, tmp_path)
    notebook.cells[0].source = now
    nbformat.write(notebook, path)
    done = nbval(path, tmp_path / "kept.ipynb", {"LABSERVER_HOME": str(home)})
    assert (done.returncode == 0) == passes, done.stdout
