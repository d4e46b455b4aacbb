"""A learner's file is never written over, and an update of the course never gets lost."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from exercises.checks import registry
from exercises.checks.registry import Exercise
from exercises.lab import workspace
from exercises.lab.workspace import CopyState, Workspace
from labserver.errors import LabError

TASK = "def part():\n    raise NotImplementedError\n\n\n\n\n\ndef below():\n    return 1\n"
SOLUTION = TASK.replace("raise NotImplementedError", "return 42")


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exercise:
    """A course with one exercise, in a folder of its own."""
    folder = tmp_path / "course"
    folder.mkdir()
    monkeypatch.setattr(registry, "TASKS", folder)
    monkeypatch.setattr(registry, "SOLUTIONS", folder)
    exercise = dataclasses.replace(registry.EXERCISES[0], file="lesson_06.py")
    exercise.task.write_text(TASK)
    monkeypatch.setattr(workspace, "EXERCISES", (exercise,))
    return exercise


@pytest.fixture
def work(course: Exercise, tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path / "work")
    assert made.copy_exercises() == []
    return made


def edit(work: Workspace, course: Exercise, old: str, new: str) -> str:
    text = work.file(course).read_text().replace(old, new)
    work.file(course).write_text(text)
    return text


def test_a_copy_is_untouched_until_it_is_edited(work: Workspace, course: Exercise) -> None:
    assert work.file(course).read_text() == TASK
    assert work.state(course) is CopyState.UNTOUCHED
    edit(work, course, "raise NotImplementedError", "return 41")
    assert work.state(course) is CopyState.EDITED
    work.file(course).unlink()
    assert work.state(course) is CopyState.MISSING


def test_an_edited_file_survives_and_an_untouched_one_is_renewed(work: Workspace, course: Exercise) -> None:
    course.task.write_text(TASK + "# new\n")
    assert work.copy_exercises() == []
    assert work.file(course).read_text() == TASK + "# new\n"
    mine = edit(work, course, "raise NotImplementedError", "return 41")
    assert work.copy_exercises() == []
    assert work.file(course).read_text() == mine


def test_an_update_of_an_edited_exercise_is_told_once_it_is_there(work: Workspace, course: Exercise) -> None:
    mine = edit(work, course, "raise NotImplementedError", "return 41")
    assert work.changed() == []
    course.task.write_text(TASK.replace("return 1", "return 2"))
    assert work.copy_exercises() == [course]
    assert work.file(course).read_text() == mine
    work.keep(course)
    assert work.changed() == []
    assert work.file(course).read_text() == mine


def test_an_update_is_merged_and_a_backup_kept(work: Workspace, course: Exercise) -> None:
    mine = edit(work, course, "raise NotImplementedError", "return 41")
    course.task.write_text(TASK.replace("return 1", "return 2"))
    assert work.merge(course)
    assert work.file(course).read_text() == mine.replace("return 1", "return 2")
    assert [backup.read_text() for backup in work.path.glob("*.bak")] == [mine]
    assert work.changed() == []


def test_a_conflict_is_marked(work: Workspace, course: Exercise) -> None:
    edit(work, course, "raise NotImplementedError", "return 41")
    course.task.write_text(TASK.replace("raise NotImplementedError", "raise NotImplementedError('now with a text')"))
    assert not work.merge(course)
    assert "<<<<<<< yours" in work.file(course).read_text()


def test_a_reset_keeps_a_backup_each_time(work: Workspace, course: Exercise) -> None:
    kept = []
    for number in range(3):
        mine = edit(work, course, "raise NotImplementedError", f"return {number}")
        backup = work.reset(course)
        assert backup is not None
        kept.append((backup, mine))
        assert work.file(course).read_text() == TASK
    assert work.reset(course) is None
    assert [backup.read_text() for backup, _ in kept] == [mine for _, mine in kept]


def test_the_solution_is_shown_as_a_difference(work: Workspace, course: Exercise, tmp_path: Path) -> None:
    (tmp_path / "solutions").mkdir()
    registry.SOLUTIONS = tmp_path / "solutions"  # the fixture puts it back
    course.solution.write_text(SOLUTION)
    shown = work.against_solution(course).splitlines()
    assert "-    raise NotImplementedError" in shown
    assert "+    return 42" in shown


def test_a_folder_that_cannot_be_written_is_a_sentence(course: Exercise, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="LAB_WORK"):
        Workspace(tmp_path / "file/work").copy_exercises()
    assert course.task.exists()
