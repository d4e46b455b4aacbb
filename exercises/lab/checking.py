"""``lab check``: checks one lesson or all, shows findings as they come, and writes results for programs."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

from exercises.checks.registry import EXERCISES, exercise_of
from exercises.checks.result import Result, State
from exercises.lab.course import Course, here
from exercises.lab.shown import advice, junit, verdict
from exercises.lab.telling import LinePrinter
from labserver.errors import LabError
from labserver.settings import settings


def check(lesson: int | None, *, as_json: bool, junit_file: Path | None, everything: bool) -> bool:
    """Check, and print the findings. Returns true if all is solved.

    Args:
        lesson: a lesson's number; None for all.
        as_json: print only JSON to the standard output; progress goes to standard error.
        junit_file: file for the results as JUnit.
        everything: show each failure in full.

    Raises:
        LabError: if nothing was built, or a file cannot be written.
    """
    course, results = here(), []
    write = partial(print, file=sys.stderr if as_json else sys.stdout, flush=True)
    for exercise in EXERCISES if lesson is None else (exercise_of(lesson),):
        result = course.check(exercise, settings(), LinePrinter(write, everything=everything))
        results.append(result)
        if not as_json:
            write("\n".join([verdict(result), *advice(result)]))
    if as_json:
        print(json.dumps([result.to_json() for result in results], indent=1), flush=True)
    elif lesson is not None and results[0].state is State.SOLVED:
        write(following(course))
    if junit_file:
        _write(junit_file, results)
    return all(result.state is State.SOLVED for result in results)


def following(course: Course) -> str:
    """A sentence on the next lesson."""
    if exercise := course.next():
        return f"Next: work/{exercise.file}. `lab watch {exercise.lesson}` checks whenever you save."
    return "All solved. `lab serve` runs the finished service on your own parts."


def _write(file: Path, results: list[Result]) -> None:
    try:
        file.write_bytes(junit(results))
    except OSError as error:
        raise LabError(f"{file} cannot be written ({error.strerror}).") from None
