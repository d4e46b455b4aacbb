"""Folders of other programs in PYTHONPATH."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(module: str, *arguments: str, home: Path, path: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"LABSERVER_HOME": str(home), "PYTHONPATH": path}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_packages_of_another_program_are_left_out_and_that_is_said(home: Path, tmp_path: Path) -> None:
    """Of both commands; the first one needs NumPy."""
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy/__init__.py").write_text("raise ImportError('of another program')\n")
    said = f"PYTHONPATH={tmp_path} is left out: packages of other programs would replace the course's.\n"
    clock = run("labserver", "clock", home=home, path=str(tmp_path))
    assert (clock.returncode, clock.stderr) == (0, said)
    assert "2013" in clock.stdout
    hint = run("exercises.lab", "hint", "0", home=home, path=str(tmp_path))
    assert (hint.returncode, hint.stderr.startswith(said)) == (0, True)


@pytest.mark.slow
def test_the_courses_own_folder_stays_and_nothing_is_said_of_it(home: Path) -> None:
    clock = run("labserver", "clock", home=home, path=str(ROOT))
    assert (clock.returncode, clock.stderr) == (0, "")
