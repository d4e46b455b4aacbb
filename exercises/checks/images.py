"""Builds a learner's Containerfile and runs the image as a platform would: without privileges, stopped under load."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import requests

from exercises.checks.answering import TooLate, asked
from exercises.checks.attempt import Attempt, StepBegun
from exercises.checks.building import ENGINE_FAILED, build, fails_by_itself
from exercises.checks.doubt import ISOLATED, KILLED_FROM_OUTSIDE, Doubt, Doubtful, Unjudged, in_time
from exercises.checks.interruption import interruptible
from exercises.checks.result import CheckFinding
from exercises.checks.stopping import client, stopped
from labserver.errors import LabError
from labserver.running.engine import HARDENING_FLAGS, Container, Engine, container, find_engine
from labserver.settings import FINISHED_STAGE

Flights = list[dict[str, Any]]
Answers = list[dict[str, Any]]

PORT_INSIDE = 9000
"""The port that the platform sends its requests to."""
READY_SECONDS = 60
"""Seconds for a container to become ready."""
ANSWER_SECONDS = 20
"""Seconds for an answer."""


def built_and_run(attempt: Attempt, base: str) -> Iterator[CheckFinding | StepBegun]:
    """Build, start, compare and stop the image; or one finding on why this was not tried.

    Args:
        attempt: whose file is a Containerfile without known faults.
        base: the base that the file names; BASE_IMAGE takes its place.

    Raises:
        Doubtful: if something took too long.
        Unjudged: if the engine failed, or the course's own service.
    """
    base = os.environ.get("BASE_IMAGE") or base
    try:
        with interruptible():
            yield from _built_and_run(attempt, base)
    except subprocess.TimeoutExpired as late:
        raise Unjudged(f"`{' '.join(late.cmd[:2])}` did not end within {late.timeout:.0f} s. Run it again") from None


def _built_and_run(attempt: Attempt, base: str) -> Iterator[CheckFinding | StepBegun]:
    engine = None if ISOLATED in os.environ else find_engine()
    if ISOLATED in os.environ:
        yield _not_tried("no network", "This check has no network, so the file was read only, not built or run.")
    elif engine is None:
        yield _not_tried("no container engine", "It was read only: no container engine is here to build and run it.")
    elif engine.run("image", "inspect", base).returncode:
        said = f"It was read only: the base image is not here. Run `{engine.name} pull {base}`, then check again."
        yield _not_tried("no base image", said)
    else:
        flights = attempt.flights("2013-10-15", 50)
        pool = ThreadPoolExecutor(1)  # the service outside starts while the image is built
        try:
            expected = pool.submit(outside, attempt, flights)
            image, built = yield from build(engine, attempt, base)
            yield built
            if built.passed:
                yield from run(engine, image, base, flights, expected)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _not_tried(reason: str, said: str) -> CheckFinding:
    return CheckFinding(said, True, received=f"not tried: {reason}")


def run(
    engine: Engine, image: str, base: str, flights: Flights, expected: Future[Answers]
) -> Iterator[CheckFinding | StepBegun]:
    """The findings on one container; the last step is to stop it."""
    # Without this flag podman makes /tmp writable. The time-out ends the container even if this process is killed.
    flags = (
        (*HARDENING_FLAGS, "--read-only-tmpfs=false", "--timeout=300") if engine.name == "podman" else HARDENING_FLAGS
    )
    yield StepBegun(f"{engine.name} runs it")
    with ExitStack() as stack:
        try:
            box = stack.enter_context(container(engine, image, flags, inside=PORT_INSIDE))
        except LabError as error:
            fails_by_itself(engine, base, str(error))
            yield started(str(error)[-600:])
            return
        try:
            box.wait_until_ready(READY_SECONDS)
        except LabError as error:
            not_ready(box, started(str(error)[-600:]))
            yield started(str(error)[-600:])
            return
        yield started("")
        yield compared(box, flights, expected.result())
        yield process_one(box)
        yield from in_time([healthy(engine, image, box)])
        yield from in_time([stopped(box, flights[0])])


def not_ready(box: Container, finding: CheckFinding) -> None:
    """Examine a container that is not ready: if it ended by itself, the fault is the learner's.

    Raises:
        Doubtful: if it still runs.
        Unjudged: if it was killed.
    """
    state = box.engine.inspect("container", box.name)["State"]
    if state["Running"]:
        raise Doubtful(Doubt(f"the container was not ready within {READY_SECONDS} s", finding))
    if state.get("OOMKilled") or state.get("ExitCode") == 137:
        raise Unjudged(KILLED_FROM_OUTSIDE)


def started(refused: str) -> CheckFinding:
    """A finding on whether it became ready; if not, with the end of its log."""
    return CheckFinding(
        "Locked up as the platform does it, it starts and is ready.",
        not refused,
        sent=f"run {' '.join(HARDENING_FLAGS)}",
        received=refused,
        expected=f"200 from /readyz on port {PORT_INSIDE}",
        why="On a platform this is a restart loop.",
        mistake="does-not-start" if refused else "",
    )


def outside(attempt: Attempt, flights: Flights) -> Answers:
    """The answers of the finished service outside a container."""
    with attempt.service(FINISHED_STAGE, own=False) as service:
        return _answers(service.post("/v1/predictions/batch", {"flights": flights}))


def compared(box: Container, flights: Flights, expected: Answers) -> CheckFinding:
    """The answers of the image and of the same service outside, for flights of a whole day."""
    body = {"flights": flights}
    with client() as session:
        try:
            got = _answers(asked(session, "POST", f"{box.url}/v1/predictions/batch", body, ANSWER_SECONDS))
        except TooLate as late:
            raise Doubtful(Doubt(str(late), _compared(0, len(flights)))) from None
    return _compared(sum(one == other for one, other in zip(got, expected, strict=False)), len(flights))


def _compared(same: int, number: int) -> CheckFinding:
    return CheckFinding(
        "It answers as the service outside does.",
        same == number,
        sent=f"{number} flights of a day, in one batch, to both",
        received=f"{same} of {number} answers are the same",
        expected="all",
        why="Another version of a library, or another model, and nothing says so.",
        mistake="" if same == number else "other-answers",
    )


def _answers(response: requests.Response) -> Answers:
    return [answer | {"id": None} for answer in response.json().get("predictions", [])]


def process_one(box: Container) -> CheckFinding:
    """The user of process 1, by ``/proc/1/status``."""
    code, printed = box.execute(["cat", "/proc/1/status"])
    if code == ENGINE_FAILED:
        raise Unjudged(f"{box.engine.name} could not run a command in the container ({printed[-200:]}). Run it again")
    fields = dict(line.split(":", 1) for line in printed.splitlines() if ":" in line)
    users, name = set(fields.get("Uid", "0").split()), fields.get("Name", "").strip()
    right = "0" not in users and name not in ("sh", "bash", "dash")
    return CheckFinding(
        "Process 1 is the server, and not root's.",
        right,
        sent="cat /proc/1/status, in the container",
        received=f"{name}, user {', '.join(sorted(users))}",
        expected="python, with a user other than 0",
        why="Process 1 gets the signals, and what runs as root inside is one hole away from the machine.",
        mistake="" if right else "process-1",
    )


def healthy(engine: Engine, image: str, box: Container) -> CheckFinding:
    """Run the image's health check beside the service, as the engine does."""
    found = engine.inspect("image", image)
    kind, *command = (found if "Healthcheck" in found else found["Config"])["Healthcheck"]["Test"]  # podman, docker
    try:
        code, said = box.execute(["/bin/sh", "-c", *command] if kind == "CMD-SHELL" else command)
    except subprocess.TimeoutExpired as late:
        code, said = -1, f"no end after {late.timeout:.0f} s"
    if code == ENGINE_FAILED:
        raise Unjudged(f"{engine.name} could not run a command in the container ({said[-200:]}). Run it again")
    return CheckFinding(
        "Its health check says that it is well.",
        code == 0,
        sent=" ".join(command),
        received=f"exit code {code} {said.strip()[-300:]}",
        expected="exit code 0",
        why="A check that fails in a healthy container makes the platform restart it for ever.",
        mistake="health-check-fails" if code else "",
    )
