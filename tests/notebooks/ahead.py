"""Makes downloads and layers of images ahead of the notebook run that is timed."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from claims import NOTEBOOKS_FOLDER, lesson_of
from engines import engine_alone

AHEAD = {1: NOTEBOOKS_FOLDER / "lesson_01_boxes.py"}
"""Lesson to the script that learners may run before the lesson, too."""


def alone(notebook: Path) -> AbstractContextManager[object]:
    """For the time that a notebook runs, if it builds images."""
    return engine_alone() if lesson_of(notebook) in AHEAD else nullcontext()


def prepare(notebook: Path, home: Path) -> None:
    """Run the notebook's script, if it has one. Nothing is built twice, by another worker or on another day."""
    script = AHEAD.get(lesson_of(notebook))
    if script is None:
        return
    with engine_alone():
        environment = os.environ | {"LABSERVER_HOME": str(home)}
        done = subprocess.run(
            [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=1_200, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
