"""The process in which a learner's code is checked: ``python -m exercises.judge LESSON FILE HOME REPORT``.

What it finds goes to REPORT, a JSON document a line, as it is found: whatever becomes of this process, the process that
started it (:mod:`exercises.judging`) has what was found before.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import resource
import socket
import struct
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from exercises.attempt import Attempt, NotYet
from exercises.result import Finding
from labserver.errors import LabError
from labserver.settings import Settings

MEMORY = 6 << 30
"""Bytes of address space of this process and of each service it starts. Threads reserve far more than they use."""
FILE_SIZE = 1 << 30
ISOLATED = "LAB_ISOLATED"
"""Variable that is set where this process has a network of its own (Linux)."""


def main() -> None:
    """Check, and write what is found."""
    lesson, file, home, report = sys.argv[1:]
    _limit()
    if ISOLATED in os.environ:
        _raise_loopback()
    attempt = Attempt(int(lesson), Path(file), Settings(home=Path(home)))
    with Path(report).open("a", encoding="utf-8") as out:
        for line in findings(attempt):
            out.write(json.dumps(line) + "\n")
            out.flush()


def findings(attempt: Attempt) -> Iterator[dict[str, Any]]:
    """What the check finds, then ``{"done": true}`` with the score; whatever the learner's code raises is a finding."""
    check = importlib.import_module(f"exercises.checks.lesson_{attempt.lesson:02}").check
    score = ""
    try:
        for found in check(attempt):
            if isinstance(found, str):
                score = found
            else:
                yield {"finding": asdict(found)}
    except NotYet:
        pass
    except BaseException as error:  # an exit, too
        yield {"finding": asdict(_raised(error, attempt.file))}
    yield {"done": True, "score": score}


def _raised(error: BaseException, file: Path) -> Finding:
    """What a person reads of an exception."""
    cause = error.__cause__ if isinstance(error, LabError) and error.__cause__ else error
    if isinstance(cause, NotImplementedError):
        return Finding("The exercise is written.", False, received=str(cause), why="This part still says so itself.")
    if isinstance(error, LabError):
        return Finding("Your part works in the live service.", False, received=str(error))
    lines = [n for frame, n in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == str(file)]
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, SystemExit):
        said = f"it ended the process (exit code {error.code})"
    if isinstance(error, MemoryError):
        said = f"it wanted more memory than the {MEMORY >> 30} GiB that a check may use"
    if lines:
        return Finding("Your code runs.", False, received=f"line {lines[-1]}: {said}")
    print("".join(traceback.format_exception(error)), file=sys.stderr)
    return Finding("Your part does what the check expects of it.", False, received=said)


def _limit() -> None:
    for kind, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, FILE_SIZE), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # some systems know no such limit, or have a lower one
            resource.setrlimit(kind, (most, most))


def _raise_loopback() -> None:
    """A network namespace begins with loopback down. Source: netdevice(7)."""
    set_flags, up = 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sH22x", b"lo", up))


if __name__ == "__main__":
    main()
