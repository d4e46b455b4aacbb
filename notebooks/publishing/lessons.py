"""What is said about each lesson in one line, read from its notebook and its exercise; and the README's table of it.

``python -m publishing.lessons`` prints the table, ``--write`` puts it into the README.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from exercises.registry import exercise

FOLDER = Path(__file__).resolve().parent.parent
README = FOLDER.parent / "README.md"
BEGIN, END = "<!-- lessons -->", "<!-- end of lessons -->"
RECORD = "application/scrapbook.scrap.json+json"
"""The type of output that carries the record of a claim. See ``kit.claim``."""

read: Callable[..., NotebookNode] = nbformat.read

HEADLINES = {
    0: "flights the pasted copy answers differently",
    1: "requests lost by a stop under load",
    2: "values from the future in the answers of stage 1",
    3: "served vectors that differ from training",
    4: "corrupted requests caught",
    5: "median answer of stage 4 against stage 5",
    6: "requests/s of stage 6 over stage 5",
    7: "p99 of accepted requests at five times the capacity against alone",
    8: "one row: DataFrame and scikit-learn against ONNX Runtime",
    9: "hours of the day until the incident's page",
}
"""Lesson to the one claim that speaks for it, by its name in the notebook."""


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    Attributes:
        number: 0 to 9.
        title: what to do.
        notebook: its file.
        teaching: minutes, as its first cell has them.
        exercise: minutes, as the register of exercises has them.
        headline: its claim with its bound, as the notebook holds it: "requests lost …: exactly 0 requests".
    """

    number: int
    title: str
    notebook: Path
    teaching: int
    exercise: int
    headline: str


class Unreadable(ValueError):
    """A notebook or the README lacks what belongs there."""


@cache
def lessons() -> tuple[Lesson, ...]:
    """All lessons, in order.

    Raises:
        Unreadable: if a notebook does not say its title and minutes, or does not make its headline's claim.
    """
    return tuple(_read(path) for path in sorted(FOLDER.glob("[0-9][0-9]_*.ipynb")))


def minutes(lesson: int) -> tuple[int, int]:
    """Minutes of teaching and of exercise."""
    found = lessons()[lesson]
    return found.teaching, found.exercise


def table() -> str:
    """The README's table in Markdown; links are relative to the README."""
    rows = ["| | lesson | teaching | exercise | holds in every run |", "|---|---|---|---|---|"]
    for lesson in lessons():
        link = f"[{lesson.title}]({lesson.notebook.relative_to(README.parent).as_posix()})"
        times = f"{lesson.teaching} min | {lesson.exercise} min"
        rows.append(f"| {lesson.number} | {link} | {times} | {lesson.headline} |")
    return "\n".join(rows)


def filled(text: str) -> str:
    """``text`` with the table between its markers.

    Raises:
        Unreadable: if it has no such place.
    """
    if not (BEGIN in text and END in text):
        raise Unreadable(f"There is no place for the table of lessons: {BEGIN} … {END}.")
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


def _read(path: Path) -> Lesson:
    notebook, number = read(path, as_version=4), int(path.name[:2])
    first = notebook.cells[0].source
    title = re.search(r"^# Lesson \d: (.+)$", first, re.MULTILINE)
    time = re.search(r"\*\*Time\*\*: (\d+) minutes of teaching", first)
    if not (title and time):
        raise Unreadable(f"{path.name} does not say its title and its minutes in its first cell.")
    return Lesson(
        number, title[1], path, int(time[1]), exercise(number).minutes, _headline(notebook, number)
    )


def _headline(notebook: nbformat.NotebookNode, number: int) -> str:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            record = output.get("data", {}).get(RECORD)
            if record and record["data"]["name"] == HEADLINES[number]:
                return str(output["data"]["text/plain"]).removeprefix(f"Lesson {number}: ")
    raise Unreadable(f"Lesson {number} makes no claim named {HEADLINES[number]!r}.")


def main(arguments: list[str]) -> None:
    """Print the table, or write it into the README."""
    if arguments not in ([], ["--write"]):
        sys.exit("usage: python -m publishing.lessons [--write]")
    try:
        if arguments:
            README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
        else:
            print(table())
    except Unreadable as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
