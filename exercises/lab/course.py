"""A learner's progress through the exercises: which are solved, whose parts are active, what comes next."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exercises.checks.registry import EXERCISES, Exercise, exercise_of
from exercises.checks.result import Result, State
from exercises.classroom.posting import post_result
from exercises.lab.judging import judge
from exercises.lab.telling import SILENT, Audience
from exercises.lab.workspace import CopyState, Workspace, folder
from labserver.settings import Settings, settings
from labserver.writing import write_whole

RESULTS = ".results.json"
HINTS = ".hints.json"


@dataclass(frozen=True)
class Course:
    """A learner's folder, and the last result of each check in it."""

    workspace: Workspace

    def results(self) -> dict[int, Result]:
        """The last result of each lesson, without those whose file has changed since.

        A result that was not judged is included only if there is no judged one.
        """
        kept = _read(self.workspace.path / RESULTS)
        found = {}
        for exercise in EXERCISES:
            for entry in (kept.get(exercise.file), kept.get(State.NOT_JUDGED, {}).get(exercise.file)):
                if exercise.lesson not in found and entry and entry["content"] == self._content(exercise):
                    found[exercise.lesson] = Result.from_json(entry["result"])
        return found

    def check(self, exercise: Exercise, chosen: Settings, audience: Audience = SILENT) -> Result:
        """Check a lesson's file and keep the result. A result that was not judged replaces no earlier one.

        Raises:
            LabError: if nothing was built.
        """
        result = judge(exercise, self.workspace.file(exercise), chosen, audience=audience)
        if self.workspace.state(exercise) is not CopyState.EDITED:  # perhaps of an earlier version of the course
            result = Result(exercise.lesson, State.NOT_ATTEMPTED)
        self._keep(exercise, result)
        self.publish(chosen.progress)
        if result.state is not State.NOT_JUDGED:  # a class's board counts what learners did, not how their machines did
            post_result(self.workspace.path, result)
        return result

    def active_part(self, exercise: Exercise) -> str:
        """``"yours"`` if it is solved, and what the service does if it was only begun; else ``"not attempted"``."""
        if self.workspace.state(exercise) is not CopyState.EDITED:
            return "not attempted"
        result = self.results().get(exercise.lesson)
        return "yours" if result and result.state is State.SOLVED else "uses the course's solution"

    def state(self, exercise: Exercise) -> str:
        """The state of an exercise: that of the last check, ``"not attempted"`` or ``"not checked"``."""
        if self.workspace.state(exercise) is not CopyState.EDITED:
            return "not attempted"
        result = self.results().get(exercise.lesson)
        return result.state.value if result else "not checked"

    def progress(self) -> list[tuple[Exercise, str, Result | None]]:
        """For each exercise whose part is active, and the last result."""
        results = self.results()
        return [(exercise, self.active_part(exercise), results.get(exercise.lesson)) for exercise in EXERCISES]

    def standing(self) -> list[tuple[Exercise, str, str]]:
        """For each exercise its state, and the score of the last check."""
        results = self.results()
        return [
            (exercise, self.state(exercise), results[exercise.lesson].score if exercise.lesson in results else "")
            for exercise in EXERCISES
        ]

    def hint(self, exercise: Exercise, number: int | None = None) -> tuple[int, str]:
        """A hint and its number: the one with ``number``, or the one after the last that was shown."""
        shown = _read(self.workspace.path / HINTS)
        chosen = number or min(int(shown.get(exercise.file, 0)) + 1, len(exercise.hints))
        _write(self.workspace.path / HINTS, {**shown, exercise.file: chosen})
        return chosen, exercise.hints[chosen - 1]

    def next(self) -> Exercise | None:
        """The first exercise that is not solved."""
        return next((exercise for exercise in EXERCISES if self.active_part(exercise) != "yours"), None)

    def _content(self, exercise: Exercise) -> str:
        file = self.workspace.file(exercise)
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    def _keep(self, exercise: Exercise, result: Result) -> None:
        file = self.workspace.path / RESULTS
        kept = _read(file)
        beside = {name: entry for name, entry in kept.get(State.NOT_JUDGED, {}).items() if name != exercise.file}
        entry = {"content": self._content(exercise), "result": result.to_json()}
        if result.state is State.NOT_JUDGED:
            kept[State.NOT_JUDGED] = {**beside, exercise.file: entry}
        else:
            kept |= {exercise.file: entry, State.NOT_JUDGED: beside}
        _write(file, kept)

    def publish(self, file: Path) -> None:
        """Write the progress for the service's page. It is only shown, so a failed write is ignored."""
        shown = [
            {
                "lesson": exercise.lesson,
                "title": exercise.title,
                "state": self.state(exercise),
                "whose": self.active_part(exercise),
            }
            for exercise in EXERCISES
        ]
        with suppress(OSError):
            _write(file, shown)


def _read(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return {}


def _write(file: Path, data: object) -> None:
    write_whole(file, json.dumps(data, indent=1).encode())


def here() -> Course:
    """The learner's course. Makes its folder if it is missing, and prints which deleted files it restores.

    Raises:
        LabError: if the folder cannot be written.
    """
    workspace = Workspace(folder())
    deleted = workspace.deleted()
    workspace.copy_exercises()
    for exercise in deleted:
        print(f"work/{exercise.file} was deleted: the untouched exercise is there again.", file=sys.stderr, flush=True)
    return Course(workspace)


def check_lesson(lesson: int, audience: Audience = SILENT) -> Result:
    """Check one lesson of this learner.

    Raises:
        LabError: if there is no such exercise, nothing was built, or ``work/`` cannot be written.
    """
    exercise = exercise_of(lesson)
    return here().check(exercise, settings(), audience)
