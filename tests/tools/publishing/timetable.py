"""The timetables of INSTRUCTORS.md: one day, and ten short sessions, from the minutes of the notebooks and exercises.

``python -m publishing.timetable`` prints them, ``--write`` puts them into the guide (``make timetable``).

All ten lessons and all ten exercises take longer than a day. Every lesson is taught. An exercise is done in the room if
the day still ends in time; the others are for home. ``EXERCISES_BY_WORTH`` says which exercise is asked first.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from publishing.lessons import Lesson, lessons

GUIDE = Path(__file__).resolve().parents[3] / "notebooks/INSTRUCTORS.md"
BEGIN, END = "<!-- timetable -->", "<!-- end of timetable -->"

OPENS, CLOSES = 9 * 60, 17 * 60
"""Minutes since midnight: when the day begins, and when it is over at the latest."""
WELCOME, FAREWELL, BREAK, LUNCH = 10, 10, 15, 45
LUNCH_FROM = 11 * 60 + 45
LONGEST = 100
"""Minutes that people sit at most without a pause."""
EXERCISES_BY_WORTH = (2, 0, 6, 4, 9, 7, 3, 5, 1, 8)
"""Exercises by how much is missed without them: mistakes that pass tests and that reading does not show come first."""
TALK_MINUTES = 10
"""Minutes of discussion at the end of a short session."""


@dataclass(frozen=True)
class Slot:
    """A part of the day: minutes since midnight, and what happens."""

    begin: int
    end: int
    what: str


def day(at_home: frozenset[int]) -> list[Slot]:
    """The slots of a day, one after the other, if these exercises are for home."""
    slots = [Slot(OPENS, OPENS + WELCOME, "Welcome; everyone has the service's page open")]
    since = OPENS  # when people last came in

    def then(minutes: int, what: str) -> None:
        slots.append(Slot(slots[-1].end, slots[-1].end + minutes, what))

    for lesson in lessons():
        here = 0 if lesson.number in at_home else lesson.exercise
        if slots[-1].end + lesson.teaching + here > since + LONGEST:
            eaten = any(slot.what == "Lunch" for slot in slots)
            lunch = slots[-1].end >= LUNCH_FROM and not eaten
            then(LUNCH if lunch else BREAK, "Lunch" if lunch else "Break")
            since = slots[-1].end
        then(lesson.teaching, f"Lesson {lesson.number}: {lesson.title}")
        if here:
            then(here, f"Exercise {lesson.number}")
    then(FAREWELL, "What to do at home; what to change at work tomorrow")
    return slots


def for_home() -> frozenset[int]:
    """The exercises that do not fit into the day: each in turn is done in the room if the day still ends in time."""
    left = frozenset(lesson.number for lesson in lessons())
    for number in EXERCISES_BY_WORTH:
        if day(left - {number})[-1].end <= CLOSES:
            left -= {number}
    return left


def clock(minutes: int) -> str:
    """``9 * 60 + 5`` as ``09:05``."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


def day_table() -> str:
    """One day in Markdown, and what is left for home."""
    left = for_home()
    rows = ["| from | to | minutes | |", "|---|---|---|---|"]
    for slot in day(left):
        rows.append(f"| {clock(slot.begin)} | {clock(slot.end)} | {slot.end - slot.begin} | {slot.what} |")
    home = [lesson for lesson in lessons() if lesson.number in left]
    names = ", ".join(f"{lesson.number} ({lesson.exercise} min)" for lesson in home)
    total = sum(lesson.exercise for lesson in home)
    spare = CLOSES - day(left)[-1].end
    rows += [
        "",
        f"Exercises for home: {names}; {total} minutes in all. In reserve before {clock(CLOSES)}: {spare} minutes.",
    ]
    return "\n".join(rows)


def sessions_table() -> str:
    """Ten short sessions in Markdown: everything is done in the room."""
    rows = [
        "| session | lesson | teaching | exercise | discussion | in all |",
        "|---|---|---|---|---|---|",
    ]
    for lesson in lessons():
        rows.append(
            f"| {lesson.number + 1} | {lesson.number}: {lesson.title} | {lesson.teaching} | {lesson.exercise} | "
            f"{TALK_MINUTES} | {length(lesson)} min |"
        )
    hours, minutes = divmod(sum(map(length, lessons())), 60)
    rows += ["", f"{hours} hours {minutes} minutes in all."]
    return "\n".join(rows)


def length(lesson: Lesson) -> int:
    """Minutes of a short session."""
    return lesson.teaching + lesson.exercise + TALK_MINUTES


def tables() -> str:
    """The text between the markers."""
    return f"#### One day\n\n{day_table()}\n\n#### Ten short sessions\n\n{sessions_table()}"


def filled(text: str) -> str:
    """``text`` with the tables between its markers. ValueError if it has no such place."""
    head, _, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not end:
        raise ValueError(f"There is no place for the timetable: {BEGIN} … {END}.")
    return f"{head}{BEGIN}\n\n{tables()}\n\n{END}{tail}"


def main(arguments: list[str]) -> None:
    """Print the tables, or write them into the guide."""
    if arguments not in ([], ["--write"]):
        sys.exit("usage: python -m publishing.timetable [--write]")
    if arguments:
        GUIDE.write_text(filled(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(tables())


if __name__ == "__main__":
    main(sys.argv[1:])
