"""The guide for instructors is right: its timetable, the sections and mistakes that it names, its commands."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
import typer
from publishing import timetable
from publishing.lessons import Lesson, lessons

from exercises.lab.cli import app

ROOT = Path(__file__).parent.parent

GUIDE = (ROOT / "notebooks/INSTRUCTORS.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
SAID = [line.split(" #")[0].split() for block in BLOCKS for line in block.splitlines()]
SAID += [words.split() for words in re.findall(r"`((?:lab|make) [^`]+)`", GUIDE)]
COMMANDS = [[Path(words[0]).name, *words[1:]] for words in (w[1:] if w[:1] == ["sudo"] else w for w in SAID) if words]


def part(lesson: Lesson) -> str:
    """The guide's section on a lesson."""
    _, _, rest = GUIDE.partition(f"\n### Lesson {lesson.number}: {lesson.title}\n")
    return re.split(r"^##", rest, maxsplit=1, flags=re.MULTILINE)[0]


def first_column(text: str, head: str) -> list[str]:
    """The first column of the table with this head."""
    _, _, rest = text.partition(f"\n| {head} |")
    table = rest.split("\n\n", 1)[0].splitlines()[2:]
    return [row.split("|")[1].strip() for row in table]


def test_the_timetable_is_the_generated_one() -> None:
    assert timetable.filled(GUIDE) == GUIDE, "run `make timetable`"


def test_a_day_has_no_gap_no_overlap_and_an_end_in_time() -> None:
    slots = timetable.day(timetable.for_home())
    assert slots[0].begin == timetable.OPENS
    assert slots[-1].end <= timetable.CLOSES
    assert all(before.end == after.begin for before, after in pairwise(slots))
    assert all(slot.begin < slot.end for slot in slots)
    assert [slot.what for slot in slots].count("Lunch") == 1
    [lunch] = [slot for slot in slots if slot.what == "Lunch"]
    assert timetable.LUNCH_FROM <= lunch.begin <= 13 * 60
    sat = timetable.OPENS
    for slot in slots[:-1]:
        if slot.what in ("Lunch", "Break"):
            assert slot.begin - sat <= timetable.LONGEST
            sat = slot.end


def test_every_lesson_is_taught_and_every_exercise_is_somewhere() -> None:
    left = timetable.for_home()
    slots = {slot.what: slot.end - slot.begin for slot in timetable.day(left)}
    for lesson in lessons():
        assert slots[f"Lesson {lesson.number}: {lesson.title}"] == lesson.teaching
        if lesson.number not in left:
            assert slots[f"Exercise {lesson.number}"] == lesson.exercise
    assert sorted(timetable.EXERCISES_BY_WORTH) == [lesson.number for lesson in lessons()]
    for number in left:  # none of them would have had room
        assert timetable.day(left - {number})[-1].end > timetable.CLOSES


def test_the_guide_says_in_which_order_exercises_are_asked() -> None:
    assert f"order {', '.join(map(str, timetable.EXERCISES_BY_WORTH))}:" in re.sub(r"\s+", " ", GUIDE)


@pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: str(lesson.number))
def test_a_lesson_has_its_parts(lesson: Lesson) -> None:
    said = part(lesson)
    assert "**To remember:**" in said
    assert 3 <= len(first_column(said, "stuck at")) <= 5
    assert 3 <= len(re.findall(r"^\d\. \*.+\*", said, re.MULTILINE)) <= 4


@pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: str(lesson.number))
def test_mistakes_are_those_that_the_check_names(lesson: Lesson) -> None:
    known = {patch.stem for patch in (ROOT / f"tests/checks/wrong/{lesson.number}").glob("*.patch")}
    assert {name.strip("`") for name in first_column(part(lesson), "stuck at")} <= known


@pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: str(lesson.number))
def test_what_is_cut_is_a_section_of_the_notebook(lesson: Lesson) -> None:
    notebook = nbformat.read(lesson.notebook, as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    cut = first_column(part(lesson), "section")
    assert len(cut) >= 3
    assert [name for name in cut if f"\n### {name}\n" not in f"\n{text}\n"] == []


@pytest.mark.parametrize("said", [c for c in COMMANDS if c[0] == "lab"], ids=" ".join)
def test_a_command_of_lab_is_understood(said: list[str]) -> None:
    commands = typer.main.get_group(app).commands
    assert said[1] in commands, f"`lab {said[1]}` does not exist"
    found = commands[said[1]]
    needed = any(each.param_type_name == "argument" and each.required for each in found.params)
    if said[2:] or not needed:  # in a sentence a command can be without its arguments: `lab grade`
        found.make_context(said[1], said[2:]).close()


@pytest.mark.parametrize("said", [c for c in COMMANDS if c[0] == "make"], ids=" ".join)
def test_a_target_of_make_exists(said: list[str]) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {word for word in said[1:] if "=" not in word} <= targets


def test_the_guide_has_commands() -> None:
    assert {"lab", "make"} <= {command[0] for command in COMMANDS}


def test_the_hub_files_are_there() -> None:
    for file in re.findall(r"\]\(\.\./(exercises/classroom/hub/[^)]+)\)", GUIDE):
        assert (ROOT / file).is_file()
    assert (ROOT / "exercises/classroom/hub/single-user").stat().st_mode & 0o111
