"""Every solution is solved, every untouched exercise not attempted, every typical wrong answer caught by its name."""

from __future__ import annotations

import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest
from engines import engine_alone

from exercises.checks.registry import EXERCISES, Exercise, exercise_of
from exercises.checks.result import Result, State
from exercises.lab.control import Pace
from exercises.lab.judging import judge
from labserver.settings import Settings

pytestmark = pytest.mark.slow

WRONG = sorted((Path(__file__).parent / "wrong").glob("*/*.patch"))
"""``wrong/LESSON/MISTAKE.patch``: a patch of the solution, named as the mistake that the check must name."""


def judged(exercise: Exercise, file: Path, settings: Settings) -> Result:
    """The result of a check, as on an idle machine. Lesson 1's builds an image."""
    with engine_alone() if exercise.lesson == 1 else nullcontext():
        return judge(exercise, file, settings, measure=lambda: Pace(worked=1.0, took=1.0))


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.file)
def test_the_solution_is_solved(exercise: Exercise, settings: Settings) -> None:
    result = judged(exercise, exercise.solution, settings)
    assert [finding for finding in result.findings if not finding.passed] == []
    assert result.state is State.SOLVED


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.file)
def test_the_untouched_exercise_is_not_attempted(exercise: Exercise, settings: Settings) -> None:
    assert judged(exercise, exercise.task, settings).state is State.NOT_ATTEMPTED


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.file)
def test_the_exercise_with_a_word_changed_is_not_yet_solved(
    exercise: Exercise, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / exercise.file
    file.write_text(exercise.task.read_text() + "\n# I have begun.\n")
    assert judged(exercise, file, settings).state is State.NOT_YET


@pytest.mark.parametrize("patch", WRONG, ids=lambda patch: f"{patch.parent.name}-{patch.stem}")
def test_a_wrong_answer_is_caught_and_the_mistake_named(patch: Path, settings: Settings, tmp_path: Path) -> None:
    exercise = exercise_of(int(patch.parent.name))
    file = tmp_path / exercise.file
    file.write_bytes(exercise.solution.read_bytes())
    subprocess.run(["git", "apply", "-p1", str(patch)], cwd=tmp_path, check=True)
    result = judged(exercise, file, settings)
    assert result.state is State.NOT_YET
    assert result.next is not None
    assert result.next.mistake == patch.stem, result.next
    assert result.next.received
    assert result.next.why


def test_every_exercise_has_three_wrong_answers() -> None:
    counts = {
        exercise.lesson: sum(int(patch.parent.name) == exercise.lesson for patch in WRONG) for exercise in EXERCISES
    }
    assert {lesson: count for lesson, count in counts.items() if count < 3} == {}
