"""Exercises are solutions with the answers taken out."""

from __future__ import annotations

import pytest

from exercises.checks.registry import EXERCISES, Exercise
from exercises.lab.generate import task_of
from labserver.errors import LabError

SOLUTION = """def double(x):
    # BEGIN SOLUTION
    return 2 * x
    # TASK: twice x
    # twice = x
    #
    # # a comment that stays
    # END SOLUTION


print(double(2))
"""


def test_the_answer_is_replaced_by_the_task() -> None:
    assert task_of(SOLUTION) == (
        "def double(x):\n    twice = x\n\n    # a comment that stays\n"
        '    raise NotImplementedError("twice x")\n\n\nprint(double(2))\n'
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "at least one block"),
        ("# BEGIN SOLUTION\n# END SOLUTION\n", "Line 2"),
        ("# BEGIN SOLUTION\n# TASK\nx = 1\n# END SOLUTION\n", "Line 3"),
        ("# BEGIN SOLUTION\n# TASK\n", "at least one block"),
    ],
)
def test_a_block_that_is_not_whole_is_refused(text: str, said: str) -> None:
    with pytest.raises(LabError, match=said):
        task_of(text)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.file)
def test_the_exercise_is_as_generated(exercise: Exercise) -> None:
    """If not: `make exercises`."""
    assert exercise.task.read_text() == task_of(exercise.solution.read_text())
