"""``lab watch``: checks whenever the file is saved. By looking twice a second: shared folders send no file events."""

from __future__ import annotations

import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exercises.course import Course, here
from exercises.registry import Exercise, exercise
from exercises.result import State
from exercises.shown import lines
from labserver.settings import Settings

SECONDS = 0.5


def watch(lesson: int | None, chosen: Settings) -> None:
    """Check, wait until the file changes or a key is pressed, and so on until q or Ctrl-C."""
    course = here()
    known = exercise(lesson) if lesson is not None else course.next()
    if known is None:
        print("All solved.")
        return
    with keys():
        try:
            while known:
                known = _once(course, known, chosen)
        except KeyboardInterrupt:
            print("Stopped.")


def _once(course: Course, known: Exercise, chosen: Settings) -> Exercise | None:
    """One check and the wait after it. Gives what to watch next; None to stop."""
    file = course.workspace.file(known)
    before = stamp(file)
    print(f"\n--- checking work/{known.file} ---", flush=True)
    result = course.check(known, chosen)
    print("\n".join(lines(result)), flush=True)
    following = course.next()
    after = f"n: go on to lesson {following.lesson}, " if result.state is State.SOLVED and following else ""
    print(f"Waiting for you to save. {after}h: hint, q: stop", flush=True)
    while stamp(file) == before:
        match pressed(SECONDS):
            case "q":
                return None
            case "h":
                number, text = course.hint(known)
                print(f"Hint {number} of {len(known.hints)}: {text}", flush=True)
            case "n" if following:
                return following
    time.sleep(0.1)  # an editor may write in two steps
    return known


def stamp(file: Path) -> tuple[int, int]:
    """Changes whenever a file is saved; (0, 0) while there is none."""
    try:
        state = file.stat()
    except FileNotFoundError:
        return 0, 0
    return state.st_mtime_ns, state.st_size


def pressed(seconds: float) -> str:
    """The key that is pressed within so many seconds, or an empty string."""
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    if not readable:
        return ""
    key = sys.stdin.read(1)
    if not key:  # the end of the input: there is nobody at the keyboard
        time.sleep(seconds)
    return key


@contextmanager
def keys() -> Iterator[None]:
    """Keys arrive as they are pressed, if there is a keyboard."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
