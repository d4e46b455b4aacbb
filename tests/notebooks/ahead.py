"""What a notebook finds on the machine: downloads and layers of images, made ahead of the run that is timed."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from claims import FOLDER, lesson_of
from runs import ROOT

AHEAD = {1: FOLDER / "lesson_01_boxes.py"}
"""Lesson to the script that learners may run before the lesson, too."""


def prepare(notebook: Path, home: Path) -> None:
    """Run the notebook's script, if it has one. Nothing is built twice, by another worker or on another day."""
    script = AHEAD.get(lesson_of(notebook))
    if script is None:
        return
    ROOT.mkdir(parents=True, exist_ok=True)
    with (ROOT / "ahead.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        environment = os.environ | {"LABSERVER_HOME": str(home)}
        done = subprocess.run(
            [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=600, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
