"""``lab watch``: checks every time the file is saved. It polls twice a second: shared folders send no file events."""

from __future__ import annotations

import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from exercises.checks.registry import Exercise, exercise_of
from exercises.checks.result import State
from exercises.lab.course import Course, here
from exercises.lab.shown import advice, hint, verdict
from exercises.lab.telling import LinePrinter
from labserver.settings import Settings

SECONDS_BETWEEN_LOOKS = 0.5


def watch(lesson: int | None, chosen: Settings) -> None:
    """Check, wait until the file changes or a key is pressed, and so on until q."""
    exercise = exercise_of(lesson) if lesson is not None else here().next()
    if exercise is None:
        print("All solved.")
        return
    with keys():
        while exercise:
            exercise = _once(here(), exercise, chosen)


def _once(course: Course, exercise: Exercise, chosen: Settings) -> Exercise | None:
    """One check and the wait after it. Returns the next exercise to watch; None to stop."""
    file = course.workspace.file(exercise)
    before = stamp(file)
    print(f"\n--- work/{exercise.file} ---", flush=True)
    result = course.check(exercise, chosen, LinePrinter(partial(print, flush=True)))
    print("\n".join([verdict(result), *advice(result)]), flush=True)
    following = course.next()
    after = f"n: go on to lesson {following.lesson}, " if result.state is State.SOLVED and following else ""
    print(f"Waiting for you to save. {after}h: hint, q: stop", flush=True)
    while stamp(file) == before:
        match pressed(SECONDS_BETWEEN_LOOKS):
            case "q":
                return None
            case "h":
                print(hint(exercise, *course.hint(exercise)), flush=True)
            case "n" if following:
                return following
    time.sleep(0.1)  # an editor can write in two steps
    return exercise


def stamp(file: Path) -> tuple[int, int]:
    """A value that changes every time a file is saved; (0, 0) while there is none."""
    try:
        state = file.stat()
    except FileNotFoundError:
        return 0, 0
    return state.st_mtime_ns, state.st_size


def pressed(seconds: float) -> str:
    """The key that is pressed within ``seconds``, or an empty string."""
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    if not readable:
        return ""
    key = sys.stdin.read(1)
    if not key:  # the end of the input: there is no keyboard
        time.sleep(seconds)
    return key


@contextmanager
def keys() -> Iterator[None]:
    """Deliver keys as they are pressed, if there is a keyboard."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
