"""The process in which a learner's code is checked.

``python -m exercises.checks.check_process LESSON FILE HOME REPORT ANSWER READY``.

Findings go to REPORT as they come, one JSON document per line: if this process ends early, the process that started it
(:mod:`exercises.lab.trial`) has the findings before.
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

from exercises.checks.attempt import Attempt, NotYet, StepBegun
from exercises.checks.doubt import ISOLATED, Doubtful, Patience, Unjudged, machines_fault
from exercises.checks.interruption import Interrupted
from exercises.checks.result import CheckFinding
from labserver.errors import LabError
from labserver.settings import Settings

MEMORY_BYTES = 6 << 30
"""Bytes of address space of this process and of each service it starts. Threads reserve far more than they use."""
FILE_BYTES = 1 << 30


def main() -> None:
    """Check, and write the findings."""
    lesson, file, home, report, answer, ready = sys.argv[1:]
    _limit()
    if ISOLATED in os.environ:
        _raise_loopback()
    patience = Patience(float(answer), float(ready))
    attempt = Attempt(int(lesson), Path(file), Settings(home=Path(home)), patience)
    with Path(report).open("a", encoding="utf-8") as out:
        for line in findings(attempt):
            out.write(json.dumps(line) + "\n")
            out.flush()


def findings(attempt: Attempt) -> Iterator[dict[str, Any]]:
    """The check's findings, then ``{"done": true}`` with the score; an exception of the learner's code is a finding."""
    check = importlib.import_module(f"exercises.checks.lesson_{attempt.lesson:02}").check
    score = ""
    try:
        for found in check(attempt):
            if isinstance(found, str):
                score = found
            elif isinstance(found, StepBegun):
                yield {"step": found.text}
            else:
                yield {"finding": asdict(found)}
    except (NotYet, Interrupted):
        pass
    except Doubtful as error:
        yield {"doubt": error.doubt.to_json()}
    except Unjudged as error:
        yield {"unjudged": str(error)}
    except BaseException as error:  # an exit, too
        if said := machines_fault(error):
            yield {"unjudged": said}
        else:
            yield {"finding": asdict(_raised(error, attempt.file))}
    yield {"done": True, "score": score}


def _raised(error: BaseException, file: Path) -> CheckFinding:
    """An exception in words for people."""
    cause = error.__cause__ if isinstance(error, LabError) and error.__cause__ else error
    if isinstance(cause, NotImplementedError):
        return _unwritten(cause, file)
    if isinstance(error, LabError):
        return CheckFinding("Your part works in the live service.", False, received=str(error))
    places = _places(error, file)
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, SystemExit):
        said = f"it ended the process (exit code {error.code})"
    if isinstance(error, MemoryError):
        said = f"it wanted more memory than the {MEMORY_BYTES >> 30} GiB that a check may use"
    if places:
        return CheckFinding("Your code runs.", False, received=f"line {places[-1][0]}: {said}")
    print("".join(traceback.format_exception(error)), file=sys.stderr)
    return CheckFinding("Your part does what the check expects of it.", False, received=said)


def _unwritten(error: BaseException, file: Path) -> CheckFinding:
    """A finding on the unwritten part, with its line."""
    line, name = next(reversed(_places(error, file)), (0, ""))
    where = f"line {line}" + (f", in `{name}`" if name.isidentifier() else "") if line else f"in {file.name}"
    return CheckFinding(
        "Every part of the exercise is written.",
        False,
        received=f"{where}: still to write: {error or 'this part'}",
        expected="your own code there, in place of `raise NotImplementedError`",
        why="The exercise leaves this part to you. The check goes on once it is written.",
    )


def _places(error: BaseException, file: Path) -> list[tuple[int, str]]:
    """The lines of the learner's file that an exception came through, and in which function, the innermost last."""
    frames = traceback.walk_tb(error.__traceback__)
    return [(line, frame.f_code.co_name) for frame, line in frames if frame.f_code.co_filename == str(file)]


def _limit() -> None:
    for kind, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # some systems know no such limit, or have a lower one
            resource.setrlimit(kind, (most, most))


def _raise_loopback() -> None:
    """A network namespace begins with loopback down. Source: netdevice(7)."""
    set_flags, up = 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sH22x", b"lo", up))


if __name__ == "__main__":
    main()
