"""Builds a learner's Containerfile, and runs the image as a platform would: locked up, compared, stopped under load."""

from __future__ import annotations

import http.client
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import requests

from exercises.attempt import Attempt
from exercises.judge import ISOLATED
from exercises.registry import COURSE
from exercises.result import Finding
from labserver.deploy.engine import LOCKED, Container, Engine, container, find_engine
from labserver.errors import LabError
from labserver.settings import FINISHED

Flights = list[dict[str, Any]]
Answers = list[dict[str, Any]]

INSIDE = 9000
"""The port that the platform sends its requests to."""
IMAGE = "localhost/labserver-exercise-1"
LONGEST = 540
"""Seconds of a first build: it fetches every package. The next ones find its layers."""
GRACE = 10
"""Seconds between SIGTERM and SIGKILL, as of ``podman stop`` and ``docker stop``."""
CLIENTS = 2


def built_and_run(attempt: Attempt, base: str) -> Iterator[Finding]:
    """Build, start, compare, ask, stop; or one finding that says why this was not tried.

    Args:
        attempt: whose file is a Containerfile without known faults.
        base: the base that the file names; BASE_IMAGE takes its place.
    """
    base = os.environ.get("BASE_IMAGE") or base
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
        with ThreadPoolExecutor(1) as pool:  # the service outside starts while the image is built
            expected = pool.submit(outside, attempt, flights)
            image, built = build(engine, attempt, base)
            yield built
            if built.passed:
                yield from run(engine, image, flights, expected)


def _not_tried(reason: str, said: str) -> Finding:
    return Finding(said, True, received=f"not tried: {reason}")


def build(engine: Engine, attempt: Attempt, base: str) -> tuple[str, Finding]:
    """The image's id, and what there is to say of its build. Its layers stay, so that the next build takes seconds."""
    identity = attempt.settings.home / "image"
    command = ["build", "--file", str(attempt.file), "--tag", IMAGE, "--iidfile", str(identity)]
    command += ["--build-arg", f"BASE_IMAGE={base}"]
    command += ["--build-context", f"bundle={attempt.settings.bundle.resolve()}"]
    command += ["--format", "docker"] if engine.name == "podman" else []  # its own has no health check
    flags = shlex.split(os.environ.get("IMAGE_FLAGS", ""))
    try:
        done = engine.run(*command, *flags, str(COURSE.parent), timeout=LONGEST)
        failed, said = done.returncode != 0, (done.stdout + done.stderr).strip()[-500:]
    except subprocess.TimeoutExpired:
        failed, said = True, f"no end after {LONGEST} s"
    finding = Finding(
        "It builds.",
        not failed,
        sent=f"{engine.name} build",
        received=said if failed else "",
        expected="an image",
        why="What does not build from a fresh clone cannot be deployed by anyone but its author.",
        mistake="does-not-build" if failed else "",
    )
    return identity.read_text().strip() if identity.exists() else "", finding


def run(engine: Engine, image: str, flights: Flights, expected: Future[Answers]) -> Iterator[Finding]:
    """One container for all that is asked of it; the last thing is to stop it."""
    # podman makes /tmp writable unless told otherwise. The time-out ends it even if this process is killed.
    flags = (*LOCKED, "--read-only-tmpfs=false", "--timeout=300") if engine.name == "podman" else LOCKED
    with ExitStack() as stack:
        try:
            box = stack.enter_context(container(engine, image, flags, inside=INSIDE))
            box.wait_until_ready(60)
        except LabError as error:
            yield started(str(error)[-600:])
            return
        yield started("")
        yield compared(box, flights, expected.result())
        yield process_one(box)
        yield healthy(engine, image, box)
        yield stopped(box, flights[0])


def started(refused: str) -> Finding:
    """Whether it became ready; if not, its last words."""
    return Finding(
        "Locked up as the platform does it, it starts and is ready.",
        not refused,
        sent=f"run {' '.join(LOCKED)}",
        received=refused,
        expected=f"200 from /readyz on port {INSIDE}",
        why="On a platform this is a restart loop.",
        mistake="does-not-start" if refused else "",
    )


def outside(attempt: Attempt, flights: Flights) -> Answers:
    """What the finished service answers without a container around it."""
    with attempt.service(FINISHED, own=False) as service:
        return _answers(service.post("/v1/predictions/batch", {"flights": flights}))


def compared(box: Container, flights: Flights, expected: Answers) -> Finding:
    """The answers of the image and of the same service outside, for flights of a whole day."""
    with _client() as client:
        got = _answers(client.post(box.url + "/v1/predictions/batch", json={"flights": flights}, timeout=20))
    same = sum(one == other for one, other in zip(got, expected, strict=False))
    return Finding(
        "It answers as the service outside does.",
        same == len(flights),
        sent=f"{len(flights)} flights of a day, in one batch, to both",
        received=f"{same} of {len(flights)} answers are the same",
        expected="all",
        why="Another version of a library, or another model, and nothing says so.",
        mistake="" if same == len(flights) else "other-answers",
    )


def _answers(response: requests.Response) -> Answers:
    return [answer | {"id": None} for answer in response.json().get("predictions", [])]


def process_one(box: Container) -> Finding:
    """Who runs as process 1, by ``/proc/1/status``."""
    _, printed = box.execute(["cat", "/proc/1/status"])
    fields = dict(line.split(":", 1) for line in printed.splitlines() if ":" in line)
    users, name = set(fields.get("Uid", "0").split()), fields.get("Name", "").strip()
    right = "0" not in users and name not in ("sh", "bash", "dash")
    return Finding(
        "Process 1 is the server, and not root's.",
        right,
        sent="cat /proc/1/status, in the container",
        received=f"{name}, user {', '.join(sorted(users))}",
        expected="python, with a user other than 0",
        why="Process 1 gets the signals, and what runs as root inside is one hole away from the machine.",
        mistake="" if right else "process-1",
    )


def healthy(engine: Engine, image: str, box: Container) -> Finding:
    """Run the image's health check beside the service, as the engine does."""
    found = engine.inspect("image", image)
    kind, *command = (found if "Healthcheck" in found else found["Config"])["Healthcheck"]["Test"]  # podman, docker
    code, said = box.execute(["/bin/sh", "-c", *command] if kind == "CMD-SHELL" else command)
    return Finding(
        "Its health check says that it is well.",
        code == 0,
        sent=" ".join(command),
        received=f"exit code {code} {said.strip()[-300:]}",
        expected="exit code 0",
        why="A check that fails in a healthy container makes the platform restart it for ever.",
        mistake="health-check-fails" if code else "",
    )


def stopped(box: Container, flight: dict[str, Any]) -> Finding:
    """Stop it under clients that leave, as a balancer's do, once /readyz says so."""
    load = Load(box.url, flight)
    ended: list[tuple[int, float]] = []
    stopping = threading.Thread(target=lambda: ended.append(box.stop(GRACE)))
    with load:
        time.sleep(0.5)
        stopping.start()
        while load.is_ready():
            time.sleep(0.2)
    stopping.join()
    code, seconds = ended[0] if ended else (-1, float(GRACE))
    right = not load.lost and code == 0
    return Finding(
        "A stop under load loses no request.",
        right,
        sent=f"SIGTERM while {CLIENTS} clients ask; SIGKILL after {GRACE} s",
        received=f"{load.answered} answered, {load.lost} lost, exit code {code} after {seconds:.1f} s",
        expected="0 lost, exit code 0",
        why="Every deploy stops a container. What is lost here is lost at each of them.",
        mistake="" if right else "requests-lost",
    )


@dataclass
class Load:
    """Clients that open a connection a request, for the length of the block.

    Attributes:
        url: of the service.
        flight: what they ask about.
        answered: requests that got a 200.
        lost: requests that got anything else, or nothing.
    """

    url: str
    flight: dict[str, Any]
    answered: int = 0
    lost: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def is_ready(self) -> bool:
        """Whether a balancer would send more."""
        try:
            with _client() as client:
                return client.get(self.url + "/readyz", timeout=GRACE).status_code == http.client.OK
        except requests.RequestException:
            return False

    def _ask(self) -> None:
        while not self._over.is_set():
            try:
                with _client() as client:
                    good = client.post(self.url + "/v1/predictions", json=self.flight, timeout=GRACE).ok
            except requests.RequestException:
                good = False
            with self._lock:
                self.answered, self.lost = self.answered + good, self.lost + (not good)


def _client() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session
