"""The contents page is complete, and a learner's own parts take the place of shipped ones."""

from __future__ import annotations

import json
import pkgutil
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue
from labserver.features.definitions import CATALOGUE
from labserver.model.bundle import load_bundle
from labserver.parts import Parts
from labserver.pipeline.freshness import is_current
from labserver.running.process import scratch_home
from labserver.settings import Settings
from labserver.stages.contents import CHANGES, GONE, Change, active, parts_of_stage
from labserver.stages.own import own_parts, parts_of, used_parts

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


USED_FROM_TO = {"horizon": (0, 4), "drift": (9, 9), "shadow": (9, 9)}
"""The parts that some stages have no use for."""


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_stage_has_every_part_that_it_uses(lesson: int) -> None:
    used = {part for part in PARTS if USED_FROM_TO.get(part, (0, 9))[0] <= lesson <= USED_FROM_TO.get(part, (0, 9))[1]}
    assert set(active(lesson)) == used
    parts = parts_of_stage(lesson)
    assert {name for name in PARTS if callable(getattr(parts, name))} == used


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: f"{change.part} of lesson {change.lesson}")
def test_every_factory_exists_and_every_change_says_why(change: Change) -> None:
    assert change.factory == GONE or callable(pkgutil.resolve_name(change.factory))
    assert change.part in PARTS
    assert change.lesson in LESSONS
    assert change.why


def test_every_part_that_stage_0_has_starts_naive_and_is_replaced_but_for_the_catalogue() -> None:
    for part in PARTS:
        first, *later = [change for change in CHANGES if change.part == part]
        assert [change.lesson for change in later] == sorted({change.lesson for change in later} - {0}), part
        if part in {"catalogue", "drift", "shadow"}:
            assert not later
        else:
            assert (first.lesson, bool(later)) == (0, True), part
            assert first.factory.startswith("labserver.stages.naive"), part


def test_nothing_naive_is_left_at_the_finished_stage() -> None:
    assert not [factory for factory in active(9).values() if "naive" in factory]


def test_every_change_is_active_from_its_lesson_until_the_next_one_of_its_part() -> None:
    for change in [change for change in CHANGES if change.factory != GONE]:
        assert active(change.lesson)[change.part] == change.factory
        following = [c.lesson for c in CHANGES if c.part == change.part and c.lesson > change.lesson]
        last = min(following, default=10) - 1
        assert active(last)[change.part] == change.factory
        if last < 9:
            assert active(last + 1).get(change.part) != change.factory


def test_a_learners_function_replaces_the_shipped_part_and_no_other(tmp_path: Path) -> None:
    file = write(tmp_path / "lesson_05.py", "def decision(context):\n    return 'mine'\n")
    own = own_parts(file)
    assert set(own) == {"decision"}
    parts = parts_of_stage(9, own)
    assert parts.decision(SimpleNamespace()) == "mine"  # type: ignore[arg-type,comparison-overlap]
    for name in PARTS - {"decision"}:
        assert getattr(parts, name) is getattr(parts_of_stage(9), name)


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


def test_settings_name_parts_that_take_the_place_of_shipped_ones(tmp_path: Path) -> None:
    file = write(tmp_path / "lesson_05.py", "def decision(context):\n    return 'mine'\n")
    assert parts_of(Settings(parts=file)).decision(SimpleNamespace()) == "mine"  # type: ignore[arg-type,comparison-overlap]
    assert parts_of(Settings(parts=file)).catalogue is parts_of(Settings()).catalogue


def test_a_bundle_is_current_for_its_own_catalogue_only(settings: Settings) -> None:
    assert is_current(settings)
    assert not is_current(settings, Catalogue(CATALOGUE.groups[:-1]))


def test_a_bundle_is_current_without_an_online_store_and_not_beside_a_damaged_one(settings: Settings) -> None:
    with scratch_home(settings) as home:
        assert is_current(home)
        home.state.mkdir()
        home.online_store(load_bundle(home.bundle).features_version).write_text("no database")
        assert not is_current(home)


def test_an_experiment_that_older_code_saved_is_not_current(settings: Settings, tmp_path: Path) -> None:
    with scratch_home(settings) as home:
        home.teaching.unlink()
        home.teaching.mkdir()
        home.experiment.symlink_to(settings.experiment)
        written = json.loads(settings.experiment.with_suffix(".json").read_bytes())
        for saved_by, current in ((written["saved_by"], True), ("labserver.model.experiment", False), (None, False)):
            home.experiment.with_suffix(".json").write_text(json.dumps(written | {"saved_by": saved_by}))
            assert is_current(home) == current


def test_an_imported_function_is_no_part_of_the_learners(tmp_path: Path) -> None:
    file = write(
        tmp_path / "lesson_05.py",
        "from labserver.finished import ranges\nfrom labserver.stages.naive.features import horizon\n\n"
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
        parts_of_stage(9, {"decide": lambda context: None})
    assert str(caught.value) == f"There is no part decide. Parts are: {', '.join(sorted(PARTS))}."


@pytest.mark.parametrize(
    ("lesson", "part", "stages"), [(5, "horizon", "0 to 4"), (9, "horizon", "0 to 4"), (8, "drift", "9 to 9")]
)
def test_a_part_that_the_stage_has_no_use_for_is_refused_and_says_which_stages_have(
    tmp_path: Path, lesson: int, part: str, stages: str
) -> None:
    file = write(tmp_path / "lesson_02.py", f"def {part}(context):\n    return 1\n")
    with pytest.raises(LabError, match=f"Stage {lesson} has no use for the part {part}: only stages {stages} have"):
        parts_of(Settings(parts=file), lesson)


def test_of_a_folder_with_all_lessons_a_stage_takes_the_parts_that_it_uses(tmp_path: Path) -> None:
    write(tmp_path / "lesson_05.py", "def decision(context):\n    return 5\n")
    write(tmp_path / "lesson_09.py", "def drift(context):\n    return 9\n")
    assert set(used_parts(Settings(parts=tmp_path), 4)) == {"decision"}
    assert set(used_parts(Settings(parts=tmp_path), 9)) == {"decision", "drift"}
    assert used_parts(Settings(), 4) == {}
