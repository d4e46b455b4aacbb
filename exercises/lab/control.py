"""Finds out whether the machine or the learner's code was too slow: a control run without the learner's code.

1. A fixed piece of work for one core, timed. Alone, a process has a core to itself: 1 s of work takes 1 s. If it
   takes more than 2 s, more than half of a core is missing, and a time-out says nothing of the learner's code.
2. On a machine that is not busy, a request that was not answered is sent to the course's own part. If that does not
   answer either, the fault is not the learner's.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from exercises.checks.doubt import Doubt, ServiceQuestion

WORK_SECONDS, LONGEST_SECONDS = 1.0, 10.0
"""Seconds of processor time, and seconds of wall-clock time after which the result is clear anyway. Shorter work says
nothing: for a few tenths of a second a system favours a process that has slept, as the waiting one has.
"""
LEAST_PACE = 0.5
"""The share of a core below which the machine is busy. With as many other busy processes as cores it is half. A check's
limits are many times what a right answer takes, so a machine that gives more than half a core does not reach them.
"""
LEAST_DISK_BYTES = 16 << 20
"""Free bytes on the disk below which a check's own files can be cut off."""


@dataclass(frozen=True)
class Pace:
    """Duration of a piece of work: seconds of processor time, and seconds of wall-clock time."""

    worked: float
    took: float

    @property
    def busy(self) -> bool:
        """True if the machine was busy with other processes."""
        return self.worked < LEAST_PACE * self.took

    def __str__(self) -> str:
        return f"{self.worked:.1f} s of work took {self.took:.1f} s"


def pace() -> Pace:
    """Do the work and read both clocks."""
    began, spent = time.perf_counter(), time.thread_time()
    worked = took = 0.0
    while worked < WORK_SECONDS and took < LONGEST_SECONDS:
        hashlib.pbkdf2_hmac("sha256", b"", b"", 50_000)  # about 20 ms of one core; other threads of Python can run
        worked, took = time.thread_time() - spent, time.perf_counter() - began
    return Pace(worked, took)


def no_room(folder: Path) -> str:
    """A message about a full disk; empty if there is space."""
    free = shutil.disk_usage(folder).free
    if free >= LEAST_DISK_BYTES:
        return ""
    return f"the disk is full ({free / 2**20:.1f} MiB free at {folder.parent}). Make room, then run it again"


def weighed(doubt: Doubt, measure: Callable[[], Pace], ask_the_courses: Callable[[ServiceQuestion], str]) -> str:
    """The reason why a failure cannot be judged; empty if it is the learner's.

    Args:
        doubt: the failure.
        measure: the first control.
        ask_the_courses: the second: returns what went wrong, or an empty string if the course's own part answers.
    """
    measured = measure()
    if measured.busy:
        return (
            f"{doubt.seen}, and the machine was busy ({measured}). Run it again, with less running beside it. "
            f"If it stays so, {doubt.suspicion}"
        )
    failed = ask_the_courses(doubt.question) if doubt.question else ""
    return f"{doubt.seen}, and the course's own part fares no better ({failed}). Run it again" if failed else ""
