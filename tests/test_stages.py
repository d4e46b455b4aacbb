from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from labserver.errors import LabError
from labserver.parts import Parts
from labserver.stages import CHANGES, in_force, own_parts, stage


@pytest.mark.parametrize("lesson", range(10))
def test_every_stage_has_every_part(lesson: int) -> None:
    assert set(in_force(lesson)) == {field.name for field in fields(Parts)}
    stage(lesson)


def test_nothing_naive_is_left_at_the_end() -> None:
    assert not [factory for factory in in_force(9).values() if "naive" in factory]
    assert {change.part for change in CHANGES if change.lesson > 0} == {f.name for f in fields(Parts)} - {"catalogue"}


def test_a_learners_part_takes_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "lesson_05.py").write_text(
        "from labserver.shipped import ranges\ndef decision(context):\n    return 7\n"
    )
    own = own_parts(tmp_path)
    assert list(own) == ["decision"]
    assert stage(9, own).decision(None) == 7  # type: ignore[arg-type, comparison-overlap]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "There are no parts at"),
        ("x = 1\n", "defines no part. Define one of: catalogue, completion"),
        ("import math\nboom\n", r"lesson_05.py does not run: line 2: NameError"),
        ("def decision(:\n", r"does not run: line"),
    ],
)
def test_a_file_without_a_part_gets_one_line(tmp_path: Path, source: str | None, message: str) -> None:
    if source is not None:
        (tmp_path / "lesson_05.py").write_text(source)
    with pytest.raises(LabError, match=message) as error:
        own_parts(tmp_path)
    assert "\n" not in str(error.value)
