"""The learner's folder ``work/``: copies of the exercises, never written over without asking.

``.lab.json`` in it keeps, for each file, the SHA-256 of the exercise that it was copied from. So an untouched file is
told from an edited one, and an exercise that an update of the course has changed from one that has stayed.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from exercises.registry import COURSE, EXERCISES, Exercise
from labserver.errors import LabError

RECORD = ".lab.json"
ORIGINALS = ".originals"
"""In it, each exercise as it was when it was copied: what a merge after an update starts from."""


class Copy(Enum):
    """How a file of ``work/`` stands to the exercise."""

    MISSING = "missing"
    UNTOUCHED = "untouched"
    EDITED = "edited"


def folder() -> Path:
    """LAB_WORK, else ``work`` beside the course."""
    return Path(os.environ.get("LAB_WORK") or COURSE.parent / "work")


@dataclass(frozen=True)
class Workspace:
    """A learner's folder."""

    path: Path

    def file(self, exercise: Exercise) -> Path:
        """Where the learner's answer is."""
        return self.path / exercise.file

    def prepare(self) -> list[Exercise]:
        """Copy what is missing, and renew what is untouched. Gives the edited ones whose exercise has changed.

        Raises:
            LabError: if the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for exercise in EXERCISES:
                if self.state(exercise) is not Copy.EDITED:
                    self._copy(exercise)
        except OSError as error:
            raise LabError(
                f"{self.path} cannot be written ({error.strerror}). Set LAB_WORK to a folder that can."
            ) from None
        return self.changed()

    def state(self, exercise: Exercise) -> Copy:
        """Whether there is a copy, and whether the learner has edited it."""
        file = self.file(exercise)
        if not file.exists():
            return Copy.MISSING
        known = {self._recorded().get(exercise.file), _hash(exercise.task)}
        return Copy.UNTOUCHED if _hash(file) in known else Copy.EDITED

    def changed(self) -> list[Exercise]:
        """Exercises that a course update has changed since the learner, who has edited them, got them."""
        recorded = self._recorded()
        return [
            exercise
            for exercise in EXERCISES
            if self.state(exercise) is Copy.EDITED and recorded.get(exercise.file, "") != _hash(exercise.task)
        ]

    def keep(self, exercise: Exercise) -> None:
        """Leave the learner's file as it is, and do not speak of this update again."""
        self._note(exercise)

    def merge(self, exercise: Exercise) -> bool:
        """Bring an update into the learner's file, by ``git merge-file``. Keeps a backup.

        Returns:
            Whether it went in without a conflict; conflicts are marked in the file.

        Raises:
            LabError: if git is not there, or the file's origin is not known.
        """
        file, origin = self.file(exercise), self.path / ORIGINALS / exercise.file
        if shutil.which("git") is None or not origin.exists():
            raise LabError(
                f"{exercise.file} cannot be merged here: git or the original is missing. Use `lab reset` or keep it."
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
        """Start anew. Gives the backup of an edited file."""
        backup = self._backup(self.file(exercise)) if self.state(exercise) is Copy.EDITED else None
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
        write_whole(self.path / RECORD, json.dumps(record, indent=1, sort_keys=True).encode())

    def _recorded(self) -> Mapping[str, str]:
        try:
            record: dict[str, str] = json.loads((self.path / RECORD).read_bytes())
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


def write_whole(file: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file whole or not at all. Until it is whole, only its user can read it."""
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".new-")
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
    Path(temporary).chmod(mode)
    Path(temporary).replace(file)
