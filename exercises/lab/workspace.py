"""The learner's folder ``work/``: copies of the exercises, never overwritten without asking.

``.lab.json`` in it keeps, for each file, the SHA-256 of the exercise that it was copied from. It distinguishes
untouched files from edited ones, and exercises that an update of the course has changed from unchanged ones.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from exercises.checks.registry import EXERCISES, ROOT, Exercise
from labserver.errors import LabError
from labserver.writing import write_whole

WORK_RECORD = ".lab.json"
ORIGINALS = ".originals"
"""Subfolder with each exercise as it was when it was copied: the base of a merge after an update."""


class CopyState(Enum):
    """The state of a file in ``work/``, compared with its exercise."""

    MISSING = "missing"
    UNTOUCHED = "untouched"
    EDITED = "edited"


def folder() -> Path:
    """LAB_WORK, else ``work`` beside the course."""
    return Path(os.environ.get("LAB_WORK") or ROOT / "work")


@dataclass(frozen=True)
class Workspace:
    """A learner's folder."""

    path: Path

    def file(self, exercise: Exercise) -> Path:
        """The path of the learner's answer."""
        return self.path / exercise.file

    def copy_exercises(self) -> list[Exercise]:
        """Copy missing files, and update untouched ones. Returns the edited ones whose exercise has changed.

        Raises:
            LabError: if the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for exercise in EXERCISES:
                if self.state(exercise) is not CopyState.EDITED:
                    self._copy(exercise)
        except OSError as error:
            raise LabError(
                f"{self.path} cannot be written ({error.strerror}). Set LAB_WORK to a folder that can."
            ) from None
        return self.changed()

    def deleted(self) -> list[Exercise]:
        """Exercises whose copy was deleted."""
        recorded = self._recorded()
        return [
            exercise
            for exercise in EXERCISES
            if exercise.file in recorded and self.state(exercise) is CopyState.MISSING
        ]

    def state(self, exercise: Exercise) -> CopyState:
        """The state of an exercise's copy: missing, untouched or edited."""
        file = self.file(exercise)
        if not file.exists():
            return CopyState.MISSING
        known = {self._recorded().get(exercise.file), _hash(exercise.task)}
        return CopyState.UNTOUCHED if _hash(file) in known else CopyState.EDITED

    def changed(self) -> list[Exercise]:
        """Edited exercises that a course update has changed since they were copied."""
        recorded = self._recorded()
        return [
            exercise
            for exercise in EXERCISES
            if self.state(exercise) is CopyState.EDITED and recorded.get(exercise.file, "") != _hash(exercise.task)
        ]

    def keep(self, exercise: Exercise) -> None:
        """Keep the learner's file, and do not mention this update again."""
        self._note(exercise)

    def merge(self, exercise: Exercise) -> bool:
        """Merge an update into the learner's file, by ``git merge-file``. Keeps a backup.

        Returns:
            True if there was no conflict; conflicts are marked in the file.

        Raises:
            LabError: if git is missing, or the file's original is unknown.
        """
        file, origin = self.file(exercise), self.path / ORIGINALS / exercise.file
        if shutil.which("git") is None or not origin.exists():
            raise LabError(
                f"{exercise.file} cannot be merged here: git or the original is missing. `lab update {exercise.lesson} "
                f"--keep` keeps your file as it is; `lab reset {exercise.lesson}` takes the new exercise."
            )
        self._backup(file)
        command = [
            "git",
            "merge-file",
            "-L",
            "yours",
            "-L",
            "before",
            "-L",
            "update",
            str(file),
            str(origin),
            str(exercise.task),
        ]
        conflicts = subprocess.run(command, check=False).returncode
        self._note(exercise)
        return conflicts == 0

    def reset(self, exercise: Exercise) -> Path | None:
        """Replace the file by the untouched exercise. Returns the backup of an edited file."""
        backup = self._backup(self.file(exercise)) if self.state(exercise) is CopyState.EDITED else None
        self._copy(exercise)
        return backup

    def against_solution(self, exercise: Exercise) -> str:
        """The course's answer as a unified diff against the learner's file."""
        yours, ours = (
            path.read_text(encoding="utf-8").splitlines() for path in (self.file(exercise), exercise.solution)
        )
        return "\n".join(
            difflib.unified_diff(yours, ours, f"work/{exercise.file}", f"solutions/{exercise.file}", lineterm="")
        )

    def _copy(self, exercise: Exercise) -> None:
        write_whole(self.file(exercise), exercise.task.read_bytes())
        self._note(exercise)

    def _note(self, exercise: Exercise) -> None:
        origin = self.path / ORIGINALS / exercise.file
        origin.parent.mkdir(exist_ok=True)
        write_whole(origin, exercise.task.read_bytes())
        record = {**self._recorded(), exercise.file: _hash(exercise.task)}
        write_whole(self.path / WORK_RECORD, json.dumps(record, indent=1, sort_keys=True).encode())

    def _recorded(self) -> Mapping[str, str]:
        try:
            record: dict[str, str] = json.loads((self.path / WORK_RECORD).read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return record

    def _backup(self, file: Path) -> Path:
        kept = file.with_name(f"{file.name}.{time.strftime('%Y%m%d-%H%M%S')}.bak")
        number = 1
        while kept.exists():
            number += 1
            kept = kept.with_name(f"{file.name}.{time.strftime('%Y%m%d-%H%M%S')}-{number}.bak")
        shutil.copyfile(file, kept)
        return kept


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
