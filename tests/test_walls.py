"""The walls between the folders: the contracts of pyproject.toml can go red, and files stay short enough to read."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from awaiting import PATIENCE

ROOT = Path(__file__).parent.parent
LONGEST = 300
"""Lines of a file."""

CROSSINGS = {
    "What ships imports nothing of what builds, teaches or measures": (
        "labserver/features/store.py",
        "import labserver.pipeline.build",
    ),
    "The service knows no HTTP, no SQLite and no ONNX Runtime": ("labserver/service/decision.py", "import sqlite3"),
    "The interface knows no model and nothing of the course": ("labserver/api/routes.py", "import labserver.parts"),
    "The monitor sees vectors, answers and outcomes, and no HTTP": ("labserver/monitor/tally.py", "import starlette"),
    "Layers of the service, the lowest last": ("labserver/model/calibration.py", "import labserver.service.answer"),
    "Layers of the exercises, the lowest last": ("exercises/checks/names.py", "import exercises.lab.course"),
    "No package imports one that imports it": ("labserver/errors.py", "import labserver.features.store"),
}
"""By contract, a file and a line that breaks it."""


def contracts(folder: Path) -> dict[str, bool]:
    """By contract, whether the code in a folder keeps it."""
    lint = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(lint, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    kept = dict(re.findall(r"^(.+) (KEPT|BROKEN)", done.stdout, re.MULTILINE))
    assert kept, done.stdout + done.stderr
    assert (done.returncode == 0) == ("BROKEN" not in kept.values())
    return {name: state == "KEPT" for name, state in kept.items()}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("walls")
    for name in ("labserver", "exercises"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", folder / "pyproject.toml")
    return folder


@pytest.mark.slow
def test_every_contract_is_kept_and_has_a_line_that_breaks_it(copy: Path) -> None:
    assert contracts(copy) == dict.fromkeys(CROSSINGS, True)


@pytest.mark.slow
@pytest.mark.parametrize("contract", CROSSINGS)
def test_one_import_across_a_wall_breaks_its_contract(copy: Path, contract: str) -> None:
    name, line = CROSSINGS[contract]
    file = copy / name
    before = file.read_text()
    file.write_text(f"{before}\n{line}\n")
    try:
        assert not contracts(copy)[contract]
    finally:
        file.write_text(before)


def test_no_file_is_longer_than_a_person_reads_at_once() -> None:
    folders = ("labserver", "exercises", "solutions", "notebooks")
    lines = {
        str(file.relative_to(ROOT)): len(file.read_text().splitlines())
        for folder in folders
        for file in (ROOT / folder).rglob("*.py")
    }
    assert {name: number for name, number in lines.items() if number > LONGEST} == {}


def test_the_service_loads_neither_sqlite_nor_onnx() -> None:
    """Not even where a type is named: the ports and the service itself are imported in a fresh process."""
    code = (
        "import sys, labserver.service.ports, labserver.service.prediction; "
        "print(*sorted({'sqlite3', 'onnxruntime', 'fastapi', 'starlette'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
