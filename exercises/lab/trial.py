"""Runs a learner's file in its own process, follows its report, and ends it in time with all that it started."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from exercises.checks.doubt import ISOLATED, KILLED_FROM_OUTSIDE, Doubt, Patience, ServiceQuestion
from exercises.checks.registry import Exercise
from exercises.checks.result import CheckFinding
from exercises.lab.isolation import Isolation
from exercises.lab.telling import Audience
from labserver.running.process import dying_with_parent
from labserver.settings import Settings

LOOK_SECONDS = 0.1
"""Seconds between two reads of the report."""
GRACE_SECONDS = 5.0
"""Seconds from SIGTERM, at which a check removes its containers, to SIGKILL."""


class TrialStopped(Exception):
    """The check was stopped from outside."""


@dataclass
class Trial:
    """The outcome of a trial.

    Attributes:
        findings: in their order.
        score: see :class:`exercises.checks.result.Result`.
        doubt: a failure that is perhaps the machine's; the last event.
        unjudged: a message about a failure that is certainly the machine's.
    """

    findings: list[CheckFinding] = field(default_factory=list)
    score: str = ""
    doubt: Doubt | None = None
    unjudged: str = ""
    done: bool = False

    def note(self, line: dict[str, Any], audience: Audience) -> None:
        """A line of the report."""
        if "finding" in line:
            self.findings.append(CheckFinding(**line["finding"]))
            audience.found(self.findings[-1])
        elif "step" in line:
            audience.step(line["step"])
        elif "doubt" in line:
            self.doubt = Doubt.from_json(line["doubt"])
        elif "unjudged" in line:
            self.unjudged = line["unjudged"]
        elif "done" in line:
            self.done, self.score = True, line["score"]


@dataclass(frozen=True)
class Place:
    """The conditions of a check.

    Attributes:
        folder: for its files; deleted with them.
        home: settings of a home folder in it.
        patience: time limits of running services.
        isolation: what it may see and reach; None for all that this process may.
        stop: ends the check when another thread sets it.
    """

    folder: Path
    home: Settings
    patience: Patience
    isolation: Isolation | None = None
    stop: threading.Event = field(default_factory=threading.Event)


def tried(exercise: Exercise, file: Path, place: Place, audience: Audience) -> Trial:
    """Run the check, and report its findings as they come.

    Raises:
        TrialStopped: if the check was stopped from outside.
    """
    report, printed = place.folder / "report", place.folder / "printed"
    patience = [str(place.patience.answer), str(place.patience.ready)]
    if place.isolation:  # the folder that it is in is hidden
        file = Path(shutil.copyfile(file, place.folder / exercise.file))
    arguments = [str(exercise.lesson), str(file), str(place.home.home.resolve()), str(report), *patience]
    trial, lines = Trial(), ReportReader(report)
    with printed.open("wb") as output:
        process = started(judge_command(place, *arguments), place, output, place.isolation)
        until = time.monotonic() + exercise.seconds
        try:
            while not trial.done and process.poll() is None and time.monotonic() < until:
                if place.stop.wait(LOOK_SECONDS):
                    raise TrialStopped
                for line in lines.new():
                    trial.note(line, audience)
        finally:
            code = ended(process, lines)
        for line in lines.new():
            trial.note(line, audience)
    if code is None:
        trial.doubt = trial.doubt or Doubt(f"no end after {exercise.seconds:g} s", no_end(exercise.seconds))
    elif not trial.done and code == -signal.SIGKILL:
        trial.unjudged = trial.unjudged or KILLED_FROM_OUTSIDE
    elif not trial.done:
        trial.findings.append(in_the_middle(code, printed))
        audience.found(trial.findings[-1])
    return trial


def asked_of_the_courses(question: ServiceQuestion, place: Place) -> str:
    """A message on what went wrong when the course's own service got the same request; empty if it answered."""
    arguments = [str(place.home.home.resolve()), str(place.patience.answer), str(place.patience.ready)]
    command = dying_with_parent(
        [sys.executable, "-m", "exercises.lab.counterpart", *arguments, json.dumps(vars(question))]
    )
    answered = place.folder / "answered"
    with answered.open("wb") as output:
        process = started(command, place, output)
        try:
            while process.poll() is None:
                if place.stop.wait(LOOK_SECONDS):
                    raise TrialStopped
        finally:
            ended(process, None)
    return " ".join(answered.read_text(errors="replace").split())[-300:]


def judge_command(place: Place, *arguments: str) -> list[str]:
    """The process in which a learner's code is checked."""
    command = [sys.executable, "-m", "exercises.checks.check_process", *arguments]
    return place.isolation.command(place.folder, command) if place.isolation else dying_with_parent(command)


def started(
    command: Sequence[str], place: Place, output: IO[bytes], isolation: Isolation | None = None
) -> subprocess.Popen[bytes]:
    """Start a process in its own group, without the settings of this process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LABSERVER_")}
    if isolation:
        environment = isolation.environment(place.folder) | {ISOLATED: "1"}
    return subprocess.Popen(
        command,
        cwd=place.folder,
        env=environment | {"TMPDIR": str(place.folder)},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[bytes], lines: ReportReader | None) -> int | None:
    """End all that a process started. Returns the exit code of a process that ended by itself, else None."""
    code = process.poll()
    finished = code is not None or (lines is not None and lines.done)
    if not finished:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return (0 if code is None else code) if finished else None


class ReportReader:
    """The report, as it grows. Only whole lines count: a full disk can cut the last one off."""

    def __init__(self, file: Path) -> None:
        self._file, self._read, self.done = file, 0, False

    def new(self) -> Iterator[dict[str, Any]]:
        """The lines that were written since the last call."""
        if not self._file.exists():
            return
        with self._file.open("rb") as report:
            report.seek(self._read)
            *whole, _ = report.read().split(b"\n")
        for line in whole:
            self._read += len(line) + 1
            parsed: dict[str, Any] = json.loads(line)
            self.done = self.done or "done" in parsed
            yield parsed


def no_end(seconds: float) -> CheckFinding:
    """A message about code that was ended."""
    return CheckFinding(
        "Your code comes to an end.",
        False,
        received=f"no end after {seconds:g} s",
        why="A loop without an end, a wait for something that never comes, or much too much work.",
        mistake="no-end",
    )


def in_the_middle(code: int, printed: Path) -> CheckFinding:
    """A message about a process that did not finish its work."""
    last = " ".join(printed.read_text(errors="replace").split())[-300:]
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return CheckFinding(
        "Your code lets the check finish.",
        False,
        received=f"the process ended in the middle: {how}. {last}".strip(),
        why="In a service this takes everyone's requests down with it.",
        mistake="ended",
    )
