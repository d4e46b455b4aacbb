"""Checks a learner's file in a process of its own: an endless loop, an exit or a crash is a sentence, never a hang."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from exercises.judge import ISOLATED
from exercises.registry import Exercise
from exercises.result import Finding, Result, State
from labserver.capacity.process import leashed, scratch_home
from labserver.settings import Settings


def judge(
    exercise: Exercise, file: Path, settings: Settings, *, borrowed: Sequence[int] = (), prefix: Sequence[str] = ()
) -> Result:
    """Check ``file``.

    Args:
        exercise: which.
        file: the learner's answer.
        settings: of a built home folder, which is not written to.
        borrowed: earlier lessons whose parts are the course's own; noted in the result.
        prefix: a command that starts the check's process in a network of its own; empty for this one's.

    Raises:
        LabError: if nothing was built.
    """
    if not file.exists() or file.read_bytes() == exercise.task.read_bytes():
        return Result(exercise.lesson, State.NOT_ATTEMPTED, borrowed=tuple(borrowed))
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="lab-check-") as folder,
        scratch_home(settings, Path(folder)) as home,
    ):
        findings, score = _run(exercise, file.resolve(), home, Path(folder), prefix)
    state = State.SOLVED if findings and all(finding.passed for finding in findings) else State.NOT_YET
    seconds = round(time.perf_counter() - began, 1)
    return Result(exercise.lesson, state, tuple(findings), score, tuple(borrowed), seconds)


def _run(
    exercise: Exercise, file: Path, settings: Settings, folder: Path, prefix: Sequence[str]
) -> tuple[list[Finding], str]:
    report, printed = folder / "report", folder / "printed"
    arguments = [str(exercise.lesson), str(file), str(settings.home.resolve()), str(report)]
    command = [*prefix, *leashed([sys.executable, "-m", "exercises.judge", *arguments])]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LABSERVER_")}
    if prefix:
        environment[ISOLATED] = "1"
    with printed.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment | {"TMPDIR": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            process.wait(exercise.seconds)
            ended = _ended(process.returncode, printed)
        except subprocess.TimeoutExpired:
            ended = Finding(
                "Your code comes to an end.",
                False,
                received=f"no end after {exercise.seconds} s",
                why="A loop without an end, a wait for something that never comes, or much too much work.",
                mistake="no-end",
            )
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    lines = [json.loads(line) for line in report.read_text().splitlines()] if report.exists() else []
    findings = [Finding(**line["finding"]) for line in lines if "finding" in line]
    if lines and lines[-1].get("done"):
        return findings, lines[-1]["score"]
    return [*findings, ended], ""


def _ended(code: int, printed: Path) -> Finding:
    """What to say of a process that did not finish its work."""
    last = " ".join(printed.read_text(errors="replace").split())[-300:]
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return Finding(
        "Your code lets the check finish.",
        False,
        received=f"the process ended in the middle: {how}. {last}".strip(),
        why="In a service this takes everyone's requests down with it.",
        mistake="ended",
    )
