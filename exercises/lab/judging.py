"""Checks a learner's file in its own process: an endless loop, an exit or a crash becomes a sentence, never a hang.

A verdict is about the learner's code alone. If the machine is at fault, the result is *not judged*
(:mod:`exercises.lab.control`).
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from exercises.checks.doubt import USUAL_PATIENCE, Patience, machines_fault
from exercises.checks.registry import Exercise
from exercises.checks.result import Result, State
from exercises.lab.control import Pace, no_room, pace, weighed
from exercises.lab.isolation import Isolation
from exercises.lab.telling import SILENT, Audience
from exercises.lab.trial import Place, Trial, asked_of_the_courses, tried
from labserver.running.process import scratch_home
from labserver.settings import Settings


def judge(
    exercise: Exercise,
    file: Path,
    settings: Settings,
    *,
    isolation: Isolation | None = None,
    audience: Audience = SILENT,
    patience: Patience = USUAL_PATIENCE,
    measure: Callable[[], Pace] = pace,
    stop: threading.Event | None = None,
) -> Result:
    """Check ``file``.

    Args:
        exercise: the exercise.
        file: the learner's answer.
        settings: of a built home folder, which is not written to.
        isolation: what the check may see and reach; None for all that this process may.
        audience: gets the findings as they come.
        patience: time limits of a running service.
        measure: measures how busy the machine is.
        stop: ends the check when another thread sets it.

    Raises:
        LabError: if nothing was built.
        Stopped: if ``stop`` was set.
    """
    if not file.exists() or file.read_bytes() == exercise.task.read_bytes():
        return Result(exercise.lesson, State.NOT_ATTEMPTED)
    began, trial = time.perf_counter(), Trial()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="lab-check-") as folder,
            scratch_home(settings, Path(folder)) as home,
            audience.during(exercise),
        ):
            place = Place(Path(folder), home, patience, isolation, stop or threading.Event())
            trial = tried(exercise, file.resolve(), place, audience)
            reason = _reason(trial, place, audience, measure)
    except OSError as error:
        if not (reason := machines_fault(error)):
            raise
    solved = trial.findings and all(finding.passed for finding in trial.findings)
    state = State.NOT_JUDGED if reason else State.SOLVED if solved else State.NOT_YET
    seconds = round(time.perf_counter() - began, 1)
    return Result(exercise.lesson, state, tuple(trial.findings), trial.score, seconds, reason and f"{reason}.")


def _reason(trial: Trial, place: Place, audience: Audience, measure: Callable[[], Pace]) -> str:
    """The reason why a trial cannot be judged; empty if its findings are the learner's, a failure in doubt included."""
    if trial.unjudged:
        return trial.unjudged
    if trial.doubt is None and all(finding.passed for finding in trial.findings):
        return ""
    if reason := no_room(place.folder):
        return reason
    if trial.doubt is None:
        return ""
    audience.step(f"{trial.doubt.seen}. Measuring whether the machine is busy")
    if reason := weighed(trial.doubt, measure, partial(asked_of_the_courses, place=place)):
        return reason
    trial.findings.append(trial.doubt.finding)
    audience.found(trial.doubt.finding)
    return ""
