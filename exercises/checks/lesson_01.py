"""Lesson 1: the learner's Containerfile is read, then built and run where an engine is here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from exercises.attempt import Attempt
from exercises.checks import images
from exercises.result import Finding
from labserver.deploy.containerfile import Containerfile, Instruction, parse
from labserver.deploy.rules import RULES, Fault, faults
from labserver.errors import LabError

HOME = "/srv/gates"
LONGEST_QUOTE = 160


@dataclass(frozen=True)
class Look:
    """What is looked for with rules of :mod:`labserver.deploy.rules`.

    Attributes:
        what: as in a finding.
        rules: names of the rules.
        shell: what a shell shows of the fault.
        expected: what the file should say.
        why: what it does to whoever is on call.
        mistake: short name.
    """

    what: str
    rules: tuple[str, ...]
    shell: str
    expected: str
    why: str
    mistake: str


SIX = (
    Look(
        "The base is one that has a version.",
        ("pinned-base",),
        "`python --version` in the image says something else next month",
        "a tag with a version, or a digest",
        "After a bad deploy you build yesterday's commit again, and get another image than yesterday's.",
        "floating-versions",
    ),
    Look(
        "Every package is locked, with the hashes of its files.",
        ("hashed-requirements",),
        "`pip freeze` in two images that were built from the same file differs",
        "an install of the lock, by which other bytes are no build",
        "A new release of a package that you never named breaks the service in a build that changed nothing.",
        "floating-versions",
    ),
    Look(
        "Nothing in it trains or teaches.",
        ("serving-only", "several-stages"),
        "`du -sh /srv/gates/venv/lib/python3*/site-packages/* | sort -h` in it ends with packages that never serve",
        "what serves, and nothing else",
        "A new machine pulls all of it before it can help, and each package is one more that needs a patch at night.",
        "training-tools-in-the-image",
    ),
    Look(
        "Every path in it is the service's own.",
        ("no-path-of-one-machine",),
        "started anywhere else, it ends at once: there is no bundle at that path",
        f"paths under {HOME}",
        "It runs on one laptop. Whoever starts it elsewhere learns that from a restart loop.",
        "path-of-one-machine",
    ),
    Look(
        "It does not run as root.",
        ("not-root",),
        "`id` in it says uid=0(root)",
        "a user who owns the state, and nothing else",
        "Whoever breaks into the service can rewrite it, and one hole in the engine makes that the machine.",
        "runs-as-root",
    ),
    Look(
        "The engine can ask how it is.",
        ("health-check",),
        "`podman ps` says Up, and never (healthy) or (unhealthy)",
        "a check that asks the service",
        "A process that hangs counts as running: customers are the ones who notice.",
        "no-health-check",
    ),
    Look(
        "SIGTERM reaches the server.",
        ("exec-form",),
        "`cat /proc/1/cmdline` in it says /bin/sh where the shell stays, and `podman stop` takes all ten seconds",
        "the server itself as process 1",
        "A shell keeps the signal. Each deploy waits, then kills the server with requests in its hands.",
        "shell-form",
    ),
)
"""The six faults; one is in two places."""
OTHERS = tuple(rule for rule in RULES if rule not in {name for look in SIX for name in look.rules})


def check(attempt: Attempt) -> Iterator[Finding | str]:
    """Read the file by the rules, then for what rules cannot know; build and run what passed."""
    text = attempt.file.read_text(encoding="utf-8")
    try:
        file = parse(text)
    except LabError as error:
        yield Finding(
            "It is a Containerfile.",
            False,
            received=str(error),
            why="No engine builds it.",
            mistake="not-a-containerfile",
        )
        return
    by_rules = list(ruled(text, file))
    yield from by_rules
    left = {finding.mistake for finding in by_rules if finding.mistake} & {look.mistake for look in SIX}
    yield f"{6 - len(left)} of 6 faults repaired"
    if all(finding.passed for finding in by_rules):
        by_contract = list(contract(file))
        yield from by_contract
        if all(finding.passed for finding in by_contract):
            yield from images.built_and_run(attempt, file.final.base)


def ruled(text: str, file: Containerfile) -> Iterator[Finding]:
    """A finding a look, with the line at fault; then one for all other rules."""
    found = faults(text)
    for look in SIX:
        broken = next((fault for fault in found if fault.rule in look.rules), None)
        yield Finding(
            look.what,
            broken is None,
            sent=f"the file, read by the rule {broken.rule if broken else look.rules[0]}",
            received=f"{quoted(file, broken)}. In a shell: {look.shell}" if broken else "",
            expected=look.expected,
            why=look.why,
            mistake=look.mistake if broken else "",
        )
    other = next((fault for fault in found if fault.rule in OTHERS), None)
    yield Finding(
        "None of the other rules is broken.",
        other is None,
        sent=f"the file, read by the rules {', '.join(OTHERS)}",
        received=quoted(file, other) if other else "",
        expected="what was right stays right",
        why=other.message if other else "",
        mistake=other.rule if other else "",
    )


def quoted(file: Containerfile, fault: Fault) -> str:
    """The instruction at fault; where one is missing, the stage that lacks it."""
    for stage in file.stages:
        if stage.start.line == fault.line:
            named = f"line {fault.line}, FROM {stage.base}"
            return named if fault.rule == "pinned-base" else f"{named}: missing in what follows"
        for one in stage.instructions:
            if one.line == fault.line:
                said = f"line {one.line}, {one.keyword} {one.value}"
                return said if len(said) < LONGEST_QUOTE else said[:LONGEST_QUOTE] + " …"
    return f"line {fault.line}"


def contract(file: Containerfile) -> Iterator[Finding]:
    """What the platform expects, and the repairs that only look like one."""
    yield from lock_installed(file)
    yield from listens(file)
    yield from user_and_state(file)
    yield from entry_point(file)
    yield from health_check(file)


def lock_installed(file: Containerfile) -> Iterator[Finding]:
    """An image without any install breaks no rule, and serves nothing."""
    installs = [one for one in file.shipped() if one.keyword == "RUN" and "--require-hashes" in one.value]
    copied = [
        one for one in file.shipped() if one.keyword == "COPY" and "labserver/deploy/requirements.txt" in one.words
    ]
    yield Finding(
        "The lock of what serves is installed.",
        bool(installs and copied),
        sent="the file, looked through for the lock and its install",
        received=f"{len(copied)} COPY of labserver/deploy/requirements.txt, {len(installs)} install with hashes",
        expected="one of each",
        why="The image builds, and the service ends at its first import.",
        mistake="" if installs and copied else "lock-not-installed",
    )


def listens(file: Containerfile) -> Iterator[Finding]:
    """Port 9000 of every interface, and everything under one folder."""
    variables, start = environment(file), file.last("ENTRYPOINT") or file.last("CMD")
    words = start.words if start else []
    port = words[words.index("--port") + 1] if "--port" in words[:-1] else variables.get("LABSERVER_PORT", "8000")
    variable = next((word for word in words if start and start.exec_form and re.match(r"\$\{?\w", word)), None)
    yield Finding(
        "The entry point is a list without variables.",
        variable is None,
        sent=f"line {start.line if start else 0}, {start.keyword if start else ''}",
        received=f"{variable}, as it stands" if variable else "",
        expected="words that no shell has to read",
        why="Nobody expands it: the service gets a dollar sign for a port, and does not start.",
        mistake="variable-in-a-list" if variable else "",
    )
    yield Finding(
        "It listens on port 9000.",
        port == str(images.INSIDE),
        sent="the variables and the entry point of the image",
        received=f"port {port}",
        expected=f"port {images.INSIDE}",
        why="The platform sends its requests to the port that was agreed. Nobody answers there.",
        mistake="" if port == str(images.INSIDE) else "other-port",
    )
    home, host = variables.get("LABSERVER_HOME", ""), variables.get("LABSERVER_HOST", "127.0.0.1")
    right = home == f"{HOME}/var" and host == "0.0.0.0"  # noqa: S104
    yield Finding(
        "It finds its bundle, and can be reached from outside.",
        right,
        sent="the variables of the image",
        received=f"LABSERVER_HOME={home or '(none)'}, LABSERVER_HOST={host}",
        expected=f"LABSERVER_HOME={HOME}/var, LABSERVER_HOST=0.0.0.0",
        why="Without a bundle it does not start. Loopback of a container is nobody else's.",
        mistake="" if right else "other-layout",
    )


def user_and_state(file: Containerfile) -> Iterator[Finding]:
    """A user by number, and a state folder that is this user's."""
    user = file.last("USER")
    name = user.value if user else "root"
    yield Finding(
        "Its user is a number.",
        bool(re.fullmatch(r"[1-9]\d*(:\d+)?", name)),
        sent=f"line {user.line if user else 0}, USER",
        received=name,
        expected="a number, such as 10001",
        why="A platform that forbids root cannot look up a name, and refuses to start the image.",
        mistake="" if re.fullmatch(r"[1-9]\d*(:\d+)?", name) else "user-by-name",
    )
    given = [one for one in file.shipped() if _gives_away(one)]
    yield Finding(
        "Its state folder is given to that user.",
        bool(given),
        sent="the file, looked through for an instruction that gives a folder to the user",
        received="none does" if not given else "",
        expected=f"{HOME}/var/state belongs to {name}",
        why="COPY and RUN make root's files. The service is refused its own state, and ends when it starts.",
        mistake="" if given else "state-not-writable",
    )


def _gives_away(one: Instruction) -> bool:
    return "chown" in one.flags or (
        one.keyword == "RUN" and bool(re.search(r"\bch(own|mod|grp)\b.*state|\binstall .*-o ", one.value))
    )


def entry_point(file: Containerfile) -> Iterator[Finding]:
    """The finished service is what starts."""
    start = file.last("ENTRYPOINT") or file.last("CMD")
    words = " ".join(start.words) if start else ""
    starts = bool(re.search(r"(-m labserver\.cli|labserver) serve", words))
    yield Finding(
        "It starts the service.",
        starts,
        sent=f"line {start.line if start else 0}",
        received=words,
        expected="python -m labserver.cli serve",
        why="An image that starts something else is found out by the first request.",
        mistake="" if starts else "starts-something-else",
    )


def health_check(file: Containerfile) -> Iterator[Finding]:
    """Whether it can work: the right question, at the right port, by a program that is there."""
    health = file.last("HEALTHCHECK")
    value = health.value if health else ""
    ports = set(re.findall(r"(?:127\.0\.0\.1|localhost):(\d+)", value)) - {str(images.INSIDE)}
    program = re.search(r"\b(curl|wget)\b", value)
    installed = program and any(one.keyword == "RUN" and program.group() in one.value for one in file.image())
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
    yield Finding(
        "The health check can pass, and asks whether it is alive.",
        not mistake,
        sent=f"line {health.line if health else 0}, HEALTHCHECK",
        received=received,
        expected=f"/healthz on port {images.INSIDE}, asked by what is in the image",
        why="A check that always fails restarts a healthy service. So does /readyz while one drains.",
        mistake=mistake,
    )


def environment(file: Containerfile) -> dict[str, str]:
    """What ENV sets in the image, as far as it is written out."""
    words = [word for one in file.image() if one.keyword == "ENV" for word in one.words]
    return {name: value for name, sign, value in (word.partition("=") for word in words) if sign}
