"""A learner's way through the exercises: which are solved, whose parts are in force, what comes next."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exercises.classroom.posting import post_result
from exercises.judging import judge
from exercises.registry import EXERCISES, Exercise, exercise
from exercises.result import Result, State
from exercises.workspace import Copy, Workspace, folder, write_whole
from labserver.settings import Settings, settings

RESULTS = ".results.json"
HINTS = ".hints.json"


@dataclass(frozen=True)
class Course:
    """A learner's folder, and the last result of each check in it."""

    workspace: Workspace

    def results(self) -> dict[int, Result]:
        """The last result of each lesson; one whose file has changed since is not among them."""
        kept = _read(self.workspace.path / RESULTS)
        return {
            known.lesson: Result.from_json(kept[known.file]["result"])
            for known in EXERCISES
            if known.file in kept and kept[known.file]["content"] == self._content(known)
        }

    def check(self, known: Exercise, chosen: Settings) -> Result:
        """Check a lesson's file and keep the result."""
        result = judge(known, self.workspace.file(known), chosen, borrowed=self.borrowed(known.lesson))
        if self.workspace.state(known) is not Copy.EDITED:  # of an earlier version of the course, perhaps
            result = Result(known.lesson, State.NOT_ATTEMPTED, borrowed=result.borrowed)
        self._keep(known, result)
        self.publish(chosen.progress)
        post_result(self.workspace.path, result)
        return result

    def borrowed(self, lesson: int) -> tuple[int, ...]:
        """Earlier lessons that are not solved: the course's own parts stand in for them."""
        results = self.results()
        return tuple(
            known.lesson
            for known in EXERCISES
            if known.lesson < lesson and not (known.lesson in results and results[known.lesson].state is State.SOLVED)
        )

    def whose(self, known: Exercise) -> str:
        """``"yours"`` if it is solved, ``"borrowed"`` if it was begun, else ``"not attempted"``."""
        if self.workspace.state(known) is not Copy.EDITED:
            return "not attempted"
        result = self.results().get(known.lesson)
        return "yours" if result and result.state is State.SOLVED else "borrowed"

    def progress(self) -> list[tuple[Exercise, str, Result | None]]:
        """For each exercise whose part is in force, and the last result."""
        results = self.results()
        return [(known, self.whose(known), results.get(known.lesson)) for known in EXERCISES]

    def hint(self, known: Exercise, number: int | None = None) -> tuple[int, str]:
        """A hint and its number: the one after the last that was shown, or the one that is asked for."""
        shown = _read(self.workspace.path / HINTS)
        chosen = number or min(int(shown.get(known.file, 0)) + 1, len(known.hints))
        _write(self.workspace.path / HINTS, {**shown, known.file: chosen})
        return chosen, known.hints[chosen - 1]

    def next(self) -> Exercise | None:
        """The first exercise that is not solved."""
        return next((known for known in EXERCISES if self.whose(known) != "yours"), None)

    def _content(self, known: Exercise) -> str:
        file = self.workspace.file(known)
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    def _keep(self, known: Exercise, result: Result) -> None:
        file = self.workspace.path / RESULTS
        _write(file, _read(file) | {known.file: {"content": self._content(known), "result": result.to_json()}})

    def publish(self, file: Path) -> None:
        """Write the progress where the service's page finds it. It is only shown: what cannot be written is not."""
        shown = [
            {
                "lesson": known.lesson,
                "title": known.title,
                "state": result.state if result else "not checked",
                "whose": whose,
            }
            for known, whose, result in self.progress()
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
    """The learner's course, its folder made if it is missing.

    Raises:
        LabError: if the folder cannot be written.
    """
    workspace = Workspace(folder())
    workspace.prepare()
    return Course(workspace)


def check_lesson(lesson: int) -> Result:
    """Check one lesson of this learner.

    Raises:
        LabError: if there is no such exercise, nothing was built, or ``work/`` cannot be written.
    """
    known = exercise(lesson)
    return here().check(known, settings())
