"""The contents page is complete, and a learner's own parts take the place of shipped ones."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest

from labserver.errors import LabError
from labserver.features.definitions import CATALOGUE
from labserver.parts import Parts
from labserver.settings import Settings
from labserver.stages import CHANGES, Change, in_force, own_parts, stage

LESSONS = range(10)
PARTS = {field.name for field in fields(Parts)}


@pytest.fixture(autouse=True)
def _forget_modules() -> Iterator[None]:
    """Files under tmp_path become modules; the next test starts without them."""
    yield
    for name in [name for name in sys.modules if name.startswith("labserver_own_")]:
        del sys.modules[name]


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_stage_has_every_part(lesson: int) -> None:
    assert set(in_force(lesson)) == PARTS
    parts = stage(lesson)
    assert all(callable(getattr(parts, name)) for name in PARTS)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: f"{change.part} of lesson {change.lesson}")
def test_every_factory_exists_and_every_change_says_why(change: Change) -> None:
    assert callable(pkgutil.resolve_name(change.factory))
    assert change.part in PARTS
    assert change.lesson in LESSONS
    assert change.why


def test_every_part_but_the_catalogue_starts_naive_and_is_replaced() -> None:
    for part in PARTS:
        first, *later = [change for change in CHANGES if change.part == part]
        assert first.lesson == 0
        assert bool(later) == (part != "catalogue"), part
        if later:
            assert first.factory.startswith("labserver.naive"), part
            assert [change.lesson for change in later] == sorted({change.lesson for change in later} - {0}), part


def test_nothing_naive_is_left_at_the_finished_stage() -> None:
    assert not [factory for factory in in_force(9).values() if "naive" in factory]


def test_every_change_is_in_force_from_its_lesson_until_the_next_one_of_its_part() -> None:
    for change in CHANGES:
        assert in_force(change.lesson)[change.part] == change.factory
        following = [c.lesson for c in CHANGES if c.part == change.part and c.lesson > change.lesson]
        last = min(following, default=10) - 1
        assert in_force(last)[change.part] == change.factory
        if last < 9:
            assert in_force(last + 1)[change.part] != change.factory


def test_a_learners_function_replaces_the_shipped_part_and_no_other(tmp_path: Path) -> None:
    file = write(tmp_path / "lesson_05.py", "def decision(context):\n    return 'mine'\n")
    own = own_parts(file)
    assert set(own) == {"decision"}
    parts = stage(9, own)
    assert parts.decision(SimpleNamespace()) == "mine"  # type: ignore[arg-type,comparison-overlap]
    for name in PARTS - {"decision"}:
        assert getattr(parts, name) is getattr(stage(9), name)


def test_a_folder_gives_the_parts_of_all_its_lessons_and_of_no_other_file(tmp_path: Path) -> None:
    write(tmp_path / "lesson_02.py", "def horizon(context):\n    return 2\n")
    write(tmp_path / "lesson_05.py", "def decision(context):\n    return 5\n")
    write(tmp_path / "notes.py", "raise RuntimeError('not a lesson')\n")
    assert {name: part(None) for name, part in own_parts(tmp_path).items()} == {"horizon": 2, "decision": 5}


def test_a_catalogue_of_two_arguments_adds_to_the_one_before_it(tmp_path: Path) -> None:
    adds = "def catalogue(settings, before):\n    return (before, {!r})\n"
    first = write(tmp_path / "lesson_02.py", adds.format("second"))
    assert own_parts(first)["catalogue"](Settings()) == (CATALOGUE, "second")
    write(tmp_path / "lesson_00.py", "def catalogue(settings):\n    return 'first'\n")
    write(tmp_path / "lesson_05.py", adds.format("third"))
    assert own_parts(tmp_path)["catalogue"](Settings()) == (("first", "second"), "third")


def test_an_imported_function_is_no_part_of_the_learners(tmp_path: Path) -> None:
    file = write(
        tmp_path / "lesson_05.py",
        "from labserver.shipped import ranges\nfrom labserver.naive.features import horizon\n\n"
        "def decision(context):\n    return ranges\n",
    )
    assert set(own_parts(file)) == {"decision"}


def test_a_class_of_a_parts_name_is_a_part_and_a_constant_is_not(tmp_path: Path) -> None:
    file = write(tmp_path / "lesson_07.py", "class decision:\n    pass\n\nthreads = 4\n")
    assert set(own_parts(file)) == {"decision"}


def one_line(path: Path) -> str:
    with pytest.raises(LabError) as caught:
        own_parts(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["nothing.py", "folder"])
def test_a_path_that_does_not_exist_is_named(tmp_path: Path, name: str) -> None:
    assert "There are no parts at" in one_line(tmp_path / name)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    assert "lesson_*.py" in one_line(tmp_path)


def test_a_file_that_is_not_python_is_named(tmp_path: Path) -> None:
    assert "is not a Python file" in one_line(write(tmp_path / "parts.txt", "decision"))


def test_a_file_without_a_part_is_answered_with_the_names_of_parts(tmp_path: Path) -> None:
    message = one_line(write(tmp_path / "lesson_05.py", "def decide(context):\n    return 1\n"))
    assert f"defines no part. Define one of: {', '.join(sorted(PARTS))}." in message


@pytest.mark.parametrize(
    ("text", "line", "error"),
    [
        ("import math\n\nvalue = 1 / 0\n", 3, "ZeroDivisionError: division by zero"),
        ("def broken():\n    return undefined\n\n\nbroken()\n", 2, "NameError"),
        ("\nimport labserver.nothing\n", 2, "ModuleNotFoundError"),
        ("import json\n\n\nvalue = json.loads('{')\n", 4, "JSONDecodeError"),
        ("x = 1\n\ndef decision(context)\n    return 1\n", 3, "SyntaxError"),
        ("def decision(context):\nreturn 1\n", 2, "IndentationError"),
        ("raise ValueError('one\\ntwo')\n", 1, "ValueError"),
    ],
    ids=["error", "error in a function", "import", "error inside a library", "syntax", "indentation", "two-line error"],
)
def test_a_file_that_does_not_run_is_named_with_the_line_of_the_learners_own(
    tmp_path: Path, text: str, line: int, error: str
) -> None:
    message = one_line(write(tmp_path / "lesson_05.py", text))
    assert f"does not run: line {line}: " in message
    assert error in message


def test_a_part_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(LabError) as caught:
        stage(9, {"decide": lambda context: None})
    assert str(caught.value) == f"There is no part decide. Parts are: {', '.join(sorted(PARTS))}."
