"""Every solution is solved, every untouched exercise not attempted, every typical wrong answer caught by its name."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from exercises.judging import judge
from exercises.registry import EXERCISES, Exercise, exercise
from exercises.result import State
from labserver.settings import Settings

WRONG = sorted((Path(__file__).parent / "wrong").glob("*/*.patch"))
"""``wrong/LESSON/MISTAKE.patch``: a patch of the solution, named as the mistake that the check must name."""


@pytest.mark.parametrize("known", EXERCISES, ids=lambda known: known.file)
def test_the_solution_is_solved(known: Exercise, settings: Settings) -> None:
    result = judge(known, known.solution, settings)
    assert [finding for finding in result.findings if not finding.passed] == []
    assert result.state is State.SOLVED


@pytest.mark.parametrize("known", EXERCISES, ids=lambda known: known.file)
def test_the_untouched_exercise_is_not_attempted(known: Exercise, settings: Settings) -> None:
    assert judge(known, known.task, settings).state is State.NOT_ATTEMPTED


@pytest.mark.parametrize("known", EXERCISES, ids=lambda known: known.file)
def test_the_exercise_with_a_word_changed_is_not_yet_solved(
    known: Exercise, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / known.file
    file.write_text(known.task.read_text() + "\n# I have begun.\n")
    assert judge(known, file, settings).state is State.NOT_YET


@pytest.mark.parametrize("patch", WRONG, ids=lambda patch: f"{patch.parent.name}-{patch.stem}")
def test_a_wrong_answer_is_caught_and_the_mistake_named(patch: Path, settings: Settings, tmp_path: Path) -> None:
    known = exercise(int(patch.parent.name))
    file = tmp_path / known.file
    file.write_bytes(known.solution.read_bytes())
    subprocess.run(["git", "apply", "-p1", str(patch)], cwd=tmp_path, check=True)
    result = judge(known, file, settings)
    assert result.state is State.NOT_YET
    assert result.next is not None
    assert result.next.mistake == patch.stem, result.next
    assert result.next.received
    assert result.next.why


def test_every_exercise_has_three_wrong_answers() -> None:
    counts = {known.lesson: sum(int(patch.parent.name) == known.lesson for patch in WRONG) for known in EXERCISES}
    assert {lesson: count for lesson, count in counts.items() if count < 3} == {}
