"""Each lesson in one line, read from its notebook and its exercise, and the README's table of lessons.

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

from exercises.checks.registry import exercise_of
from exercises.lab.record import CLAIM_TYPE

NOTEBOOKS_FOLDER = Path(__file__).resolve().parents[3] / "notebooks"
README = NOTEBOOKS_FOLDER.parent / "README.md"
BEGIN, END = "<!-- lessons -->", "<!-- end of lessons -->"

read: Callable[..., NotebookNode] = nbformat.read

HEADLINES = {
    0: "flights the pasted copy answers differently",
    1: "requests lost by a stop under load",
    2: "AUC of that model when the question is due",
    3: "served vectors that differ from training",
    4: "corrupted requests caught",
    5: "median answer of stage 4 against stage 5",
    6: "requests/s of stage 6 over stage 5",
    7: "goodput with a limit at five times the capacity",
    8: "one row: DataFrame and scikit-learn against ONNX Runtime",
    9: "hours of the day until the incident's alert",
}
"""Lesson to its most important claim, by the claim's name in the notebook."""

SENTENCES = {
    "flights the pasted copy answers differently": "The pasted copy answers {bound} of flights differently.",
    "requests lost by a stop under load": "A stop under load loses {bound}.",
    "AUC of that model when the question is due": (
        "A model that was trained on a join by date has {bound} at prediction time."
    ),
    "served vectors that differ from training": "Served vectors differ from training's for {bound}.",
    "corrupted requests caught": "The ranges catch {bound} of corrupted requests.",
    "median answer of stage 4 against stage 5": "The median answer of stage 4 takes {bound} as long as stage 5's.",
    "requests/s of stage 6 over stage 5": "Stage 6 answers {bound} as many requests/s as stage 5.",
    "goodput with a limit at five times the capacity": (
        "At 5 times the capacity, the goodput with a limit is {bound} of the capacity."
    ),
    "one row: DataFrame and scikit-learn against ONNX Runtime": (
        "For one row, a DataFrame and scikit-learn take {bound} as long as ONNX Runtime."
    ),
    "hours of the day until the incident's alert": "The incident raises an alert after {bound} of simulated time.",
}
"""A claim's name to a sentence about it. ``{bound}`` is the notebook's: "at least 50 %"."""


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    Attributes:
        number: 0 to 9.
        title: what to do.
        notebook: its file.
        teaching: minutes, as its first cell has them.
        exercise: minutes, as the list of exercises has them.
        headline: its most important claim as a sentence: "A stop under load loses exactly 0 requests."
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
        Unreadable: if a notebook has no title, no minutes or no claim for its headline, or the claim has no sentence.
    """
    return tuple(_read(path) for path in sorted(NOTEBOOKS_FOLDER.glob("[0-9][0-9]_*.ipynb")))


def minutes(lesson: int) -> tuple[int, int]:
    """Minutes of teaching and of exercise."""
    found = lessons()[lesson]
    return found.teaching, found.exercise


def table() -> str:
    """The README's table in Markdown; links are relative to the README."""
    rows = ["| | lesson | teaching | exercise | a claim that holds in every run |", "|---|---|---|---|---|"]
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
    return Lesson(number, title[1], path, int(time[1]), exercise_of(number).minutes, _headline(notebook, number))


def _headline(notebook: nbformat.NotebookNode, number: int) -> str:
    name = HEADLINES[number]
    if name not in SENTENCES:
        raise Unreadable(f"SENTENCES has no sentence for the claim {name!r} of lesson {number}.")
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            record = output.get("data", {}).get(CLAIM_TYPE)
            if record and record["data"]["name"] == name:
                bound = str(output["data"]["text/plain"]).removeprefix(f"Lesson {number}: {name}: ")
                return SENTENCES[name].format(bound=bound)
    raise Unreadable(f"Lesson {number} makes no claim named {name!r}.")


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
