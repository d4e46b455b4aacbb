"""Every notebook run strictly: what is stored is what the cells answer today, except where a cell says otherwise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from ahead import alone, prepare
from claims import NOTEBOOKS, NOTEBOOKS_FOLDER, check, lesson_of
from execute import execute
from runs import LIMIT, kept, note, timed
from services import Running, own_home, running

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def finished(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One finished service for all notebooks."""
    with running(own_home(home, tmp_path_factory.mktemp("finished"))) as service:
        yield service


def nbval(notebook: Path, outputs: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "--color=no", "-q"]
    command += ["--nbval-sanitize-with", str(HERE / "sanitize.cfg"), "--nbval-cell-timeout", "900"]
    command += ["-p", "no:cacheprovider", "-p", "keep_outputs", "--keep-outputs", str(outputs), str(notebook)]
    path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        command,
        env=os.environ | environment | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=1_800,
        check=False,
    )


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_are_current(notebook: Path, finished: Running, home: Path, tmp_path: Path) -> None:
    """Of a learner who has not attempted an exercise yet."""
    prepare(notebook, home)
    outputs = kept("nbval", notebook)
    with alone(notebook), timed() as taken:
        done = nbval(
            notebook,
            outputs,
            {"LABSERVER_URL": finished.url, "LABSERVER_HOME": str(home), "LAB_WORK": str(tmp_path / "work")},
        )
    assert done.returncode == 0, done.stdout[-6000:]
    cells = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    assert f"{len(cells)} passed" in done.stdout
    note("nbval", notebook, taken, check(outputs, lesson_of(notebook)))
    assert taken.processor_seconds < LIMIT


PREPARE = f"import sys; sys.path.insert(0, {str(NOTEBOOKS_FOLDER)!r}); from kit import claim"
CHANGES = {
    "claim(0, 'apples', 3, 'apples', at_least=2)": "claim(0, 'apples', 4, 'apples', at_least=2)",  # another value
    "claim(0, 'pears', 3, 'pears', at_least=2)": "claim(0, 'pears', 3, 'pears', at_least=1)",  # another bound
    "claim(0, 'plums', 3, 'plums', at_least=2)": "claim(0, 'plums', 1, 'plums', at_least=2)",  # does not hold
    "print('a share of 0.5')": "print('a share of 0.6')",
}


def test_the_run_is_strict(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A measured value may change; a bound, a failed claim or any other output may not."""
    monkeypatch.setenv("LABSERVER_HOME", str(home))
    path = tmp_path / "99_small.ipynb"
    (tmp_path / "conftest.py").write_text((NOTEBOOKS_FOLDER / "conftest.py").read_text())
    cells = [nbformat.v4.new_code_cell(source) for source in (PREPARE, *CHANGES)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    notebook = execute(path, tmp_path)
    for cell in notebook.cells[1:]:
        cell.source = CHANGES[cell.source]
    nbformat.write(notebook, path)
    done = nbval(path, tmp_path / "kept.ipynb", {})
    failed = re.findall(r"^FAILED .*::Cell (\d+)", done.stdout, re.MULTILINE)
    assert failed == ["2", "3", "4"], done.stdout
    assert "at least 2 plums; measured: 1 plums" in done.stdout
