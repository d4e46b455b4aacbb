"""Submissions are found as learning platforms hand them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from exercises.checks.registry import EXERCISES, exercise_of
from exercises.lab.grading import submissions
from labserver.errors import LabError


def hand_in(folder: Path, *lessons: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for lesson in lessons:
        (folder / exercise_of(lesson).file).write_text(folder.name)


def test_files_are_found_in_the_learners_folder_and_one_below_in_any_of_several(tmp_path: Path) -> None:
    hand_in(tmp_path / "ada", 3, 4)
    hand_in(tmp_path / "Bob_12_assignsubmission_file/onlinetext", 3)
    hand_in(tmp_path / "zoe/lesson 3", 3)
    hand_in(tmp_path / "zoe/lesson 4", 4)
    hand_in(tmp_path / "eve", 3)
    hand_in(tmp_path / "eve/old", 3, 4)
    hand_in(tmp_path / "nobody/too/deep", 3)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "a file.txt").write_text("")
    found, others = submissions(tmp_path)
    assert others == ["nobody"]
    places = {
        submission.learner: {
            exercise.lesson: submission.file(exercise).parent.relative_to(tmp_path).as_posix()
            for exercise in EXERCISES
            if submission.file(exercise).exists()
        }
        for submission in found
    }
    assert places == {
        "Bob_12_assignsubmission_file": {3: "Bob_12_assignsubmission_file/onlinetext"},
        "ada": {3: "ada", 4: "ada"},
        "eve": {3: "eve", 4: "eve/old"},
        "zoe": {3: "zoe/lesson 3", 4: "zoe/lesson 4"},
    }


def test_a_link_is_found_and_nothing_is_no_submission(tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir()
    with pytest.raises(LabError, match="holds no submissions"):
        submissions(tmp_path)
    (tmp_path / "ada" / exercise_of(3).file).symlink_to("/nowhere")
    [found], _ = submissions(tmp_path)
    assert found.file(exercise_of(3)).is_symlink()
