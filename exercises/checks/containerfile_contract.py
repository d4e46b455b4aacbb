"""Lesson 1: requirements of this service that no general rule knows: lock, port, user, state and start."""

from __future__ import annotations

import re
from collections.abc import Iterator

from exercises.checks import images
from exercises.checks.containerfile import Containerfile, Instruction
from exercises.checks.result import CheckFinding

HOME = "/srv/gates"
"""The service's folder in the image."""


def contract(file: Containerfile) -> Iterator[CheckFinding]:
    """Findings on the platform's requirements, and on repairs that only look like one."""
    yield from lock_installed(file)
    yield from listens(file)
    yield from user_and_state(file)
    yield from entry_point(file)
    yield from health_check(file)


def lock_installed(file: Containerfile) -> Iterator[CheckFinding]:
    """An image without any install breaks no rule, and serves nothing."""
    installs = [
        instruction
        for instruction in file.shipped()
        if instruction.keyword == "RUN" and "--require-hashes" in instruction.value
    ]
    copied = [
        instruction
        for instruction in file.shipped()
        if instruction.keyword == "COPY" and "labserver/deploy/requirements.txt" in instruction.words
    ]
    yield CheckFinding(
        "The lock of what serves is installed.",
        bool(installs and copied),
        sent="the file, looked through for the lock and its install",
        received=f"{len(copied)} COPY of labserver/deploy/requirements.txt, {len(installs)} install with hashes",
        expected="one of each",
        why="The image builds, and the service ends at its first import.",
        mistake="" if installs and copied else "lock-not-installed",
    )


def listens(file: Containerfile) -> Iterator[CheckFinding]:
    """Port 9000 of every interface, and everything under one folder."""
    variables, start = environment(file), file.last("ENTRYPOINT") or file.last("CMD")
    words = start.words if start else []
    port = words[words.index("--port") + 1] if "--port" in words[:-1] else variables.get("LABSERVER_PORT", "8000")
    variable = next((word for word in words if start and start.exec_form and re.match(r"\$\{?\w", word)), None)
    yield CheckFinding(
        "The entry point is a list without variables.",
        variable is None,
        sent=f"line {start.line if start else 0}, {start.keyword if start else ''}",
        received=f"{variable}, unchanged" if variable else "",
        expected="words that no shell has to read",
        why="Nobody expands it: the service gets a dollar sign for a port, and does not start.",
        mistake="variable-in-a-list" if variable else "",
    )
    yield CheckFinding(
        "It listens on port 9000.",
        port == str(images.PORT_INSIDE),
        sent="the variables and the entry point of the image",
        received=f"port {port}",
        expected=f"port {images.PORT_INSIDE}",
        why="The platform sends its requests to the port that was agreed. Nobody answers there.",
        mistake="" if port == str(images.PORT_INSIDE) else "other-port",
    )
    home, host = variables.get("LABSERVER_HOME", ""), variables.get("LABSERVER_HOST", "127.0.0.1")
    right = home == f"{HOME}/var" and host == "0.0.0.0"  # noqa: S104
    yield CheckFinding(
        "It finds its bundle, and can be reached from outside.",
        right,
        sent="the variables of the image",
        received=f"LABSERVER_HOME={home or '(none)'}, LABSERVER_HOST={host}",
        expected=f"LABSERVER_HOME={HOME}/var, LABSERVER_HOST=0.0.0.0",
        why="Without a bundle it does not start. Loopback of a container is nobody else's.",
        mistake="" if right else "other-layout",
    )


def user_and_state(file: Containerfile) -> Iterator[CheckFinding]:
    """A user by number, and a state folder that is this user's."""
    user = file.last("USER")
    name = user.value if user else "root"
    yield CheckFinding(
        "Its user is a number.",
        bool(re.fullmatch(r"[1-9]\d*(:\d+)?", name)),
        sent=f"line {user.line if user else 0}, USER",
        received=name,
        expected="a number, such as 10001",
        why="A platform that forbids root cannot look up a name, and refuses to start the image.",
        mistake="" if re.fullmatch(r"[1-9]\d*(:\d+)?", name) else "user-by-name",
    )
    given = [instruction for instruction in file.shipped() if _gives_away(instruction)]
    yield CheckFinding(
        "Its state folder is given to that user.",
        bool(given),
        sent="the file, looked through for an instruction that gives a folder to the user",
        received="none does" if not given else "",
        expected=f"{HOME}/var/state belongs to {name}",
        why="COPY and RUN make root's files. The service is refused its own state, and ends when it starts.",
        mistake="" if given else "state-not-writable",
    )


def _gives_away(instruction: Instruction) -> bool:
    return "chown" in instruction.flags or (
        instruction.keyword == "RUN"
        and bool(re.search(r"\bch(own|mod|grp)\b.*state|\binstall .*-o ", instruction.value))
    )


def entry_point(file: Containerfile) -> Iterator[CheckFinding]:
    """The finished service is what starts."""
    start = file.last("ENTRYPOINT") or file.last("CMD")
    words = " ".join(start.words) if start else ""
    starts = bool(re.search(r"(-m labserver\.cli|labserver) serve", words))
    yield CheckFinding(
        "It starts the service.",
        starts,
        sent=f"line {start.line if start else 0}",
        received=words,
        expected="python -m labserver.cli serve",
        why="An image that starts something else is found out by the first request.",
        mistake="" if starts else "starts-something-else",
    )


def health_check(file: Containerfile) -> Iterator[CheckFinding]:
    """Checks that the health check can work: the right path, the right port, a program that is in the image."""
    health = file.last("HEALTHCHECK")
    value = health.value if health else ""
    ports = set(re.findall(r"(?:127\.0\.0\.1|localhost):(\d+)", value)) - {str(images.PORT_INSIDE)}
    program = re.search(r"\b(curl|wget)\b", value)
    installed = program and any(
        instruction.keyword == "RUN" and program.group() in instruction.value for instruction in file.image()
    )
    if program and not installed:
        received, mistake = (
            f"it needs {program.group()}, which a slim image has not",
            "health-check-without-its-program",
        )
    elif ports:
        received, mistake = f"it asks port {', '.join(sorted(ports))}", "health-check-at-another-port"
    elif "/healthz" not in value:
        received, mistake = "it does not ask /healthz", "health-check-asks-something-else"
    else:
        received, mistake = "", ""
    yield CheckFinding(
        "The health check can pass, and asks whether it is alive.",
        not mistake,
        sent=f"line {health.line if health else 0}, HEALTHCHECK",
        received=received,
        expected=f"/healthz on port {images.PORT_INSIDE}, asked by what is in the image",
        why="A check that always fails restarts a healthy service. So does /readyz while one drains.",
        mistake=mistake,
    )


def environment(file: Containerfile) -> dict[str, str]:
    """The variables that ENV sets in the image, as far as they are literal."""
    words = [word for instruction in file.image() if instruction.keyword == "ENV" for word in instruction.words]
    return {name: value for name, sign, value in (word.partition("=") for word in words) if sign}
