"""Lesson 1: the learner's Containerfile is read, then built and run where an engine is here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exercises.checks import images
from exercises.checks.attempt import Attempt, StepBegun
from exercises.checks.containerfile import Containerfile, parse
from exercises.checks.containerfile_contract import HOME, contract
from exercises.checks.containerfile_rules import RULES, Fault, faults
from exercises.checks.result import CheckFinding
from labserver.errors import LabError

LONGEST_QUOTE = 160


@dataclass(frozen=True)
class RuleGroup:
    """A fault, found with rules of :mod:`exercises.checks.containerfile_rules`.

    Attributes:
        what: as in a finding.
        rules: names of the rules.
        shell: what a shell shows of the fault.
        expected: what the file should say.
        why: its consequence for the person on call.
        mistake: short name.
    """

    what: str
    rules: tuple[str, ...]
    shell: str
    expected: str
    why: str
    mistake: str


RULE_GROUPS = (
    RuleGroup(
        "The base is one that has a version.",
        ("pinned-base",),
        "`python --version` in the image says something else next month",
        "a tag with a version, or a digest",
        "After a bad deploy you build yesterday's commit again, and get another image than yesterday's.",
        "floating-versions",
    ),
    RuleGroup(
        "Every package is locked, with the hashes of its files.",
        ("hashed-requirements",),
        "`pip freeze` in two images that were built from the same file differs",
        "an install of the lock, by which other bytes are no build",
        "A new release of a package that you never named breaks the service in a build that changed nothing.",
        "floating-versions",
    ),
    RuleGroup(
        "Nothing in it trains or teaches.",
        ("serving-only", "several-stages"),
        "`du -sh /srv/gates/venv/lib/python3*/site-packages/* | sort -h` in it ends with packages that never serve",
        "what serves, and nothing else",
        "A new machine pulls all of it before it can help, and each package is one more that needs a patch at night.",
        "training-tools-in-the-image",
    ),
    RuleGroup(
        "Every path in it is the service's own.",
        ("no-path-of-one-machine",),
        "started anywhere else, it ends at once: there is no bundle at that path",
        f"paths under {HOME}",
        "It runs on one laptop. Elsewhere it ends in a restart loop.",
        "path-of-one-machine",
    ),
    RuleGroup(
        "It does not run as root.",
        ("not-root",),
        "`id` in it says uid=0(root)",
        "a user who owns the state, and nothing else",
        "An intruder can rewrite the service, and with one hole in the engine the whole machine.",
        "runs-as-root",
    ),
    RuleGroup(
        "The engine can ask how it is.",
        ("health-check",),
        "`podman ps` says Up, and never (healthy) or (unhealthy)",
        "a check that asks the service",
        "A process that hangs counts as running: customers are the ones who notice.",
        "no-health-check",
    ),
    RuleGroup(
        "SIGTERM reaches the server.",
        ("exec-form",),
        "`cat /proc/1/cmdline` in it says /bin/sh where the shell stays, and `podman stop` takes all ten seconds",
        "the server itself as process 1",
        "A shell keeps the signal. Each deploy waits, then kills the server with requests in its hands.",
        "shell-form",
    ),
)
"""The six faults; one is in two places."""
OTHER_RULES = tuple(rule for rule in RULES if rule not in {name for look in RULE_GROUPS for name in look.rules})


def check(attempt: Attempt) -> Iterator[CheckFinding | StepBegun | str]:
    """Read the file by the rules, then for what rules cannot know; build and run what passed."""
    text = attempt.file.read_text(encoding="utf-8")
    try:
        file = parse(text)
    except LabError as error:
        yield CheckFinding(
            "It is a Containerfile.",
            False,
            received=str(error),
            why="No engine builds it.",
            mistake="not-a-containerfile",
        )
        return
    by_rules = list(ruled(text, file))
    yield from by_rules
    left = {finding.mistake for finding in by_rules if finding.mistake} & {look.mistake for look in RULE_GROUPS}
    yield f"{6 - len(left)} of 6 faults repaired"
    if all(finding.passed for finding in by_rules):
        by_contract = list(contract(file))
        yield from by_contract
        if all(finding.passed for finding in by_contract):
            yield from images.built_and_run(attempt, file.final.base)


def ruled(text: str, file: Containerfile) -> Iterator[CheckFinding]:
    """A finding a look, with the line at fault; then one for all other rules."""
    found = faults(text)
    for look in RULE_GROUPS:
        broken = next((fault for fault in found if fault.rule in look.rules), None)
        yield CheckFinding(
            look.what,
            broken is None,
            sent=f"the file, read by the rule {broken.rule if broken else look.rules[0]}",
            received=f"{quoted(file, broken)}. In a shell: {look.shell}" if broken else "",
            expected=look.expected,
            why=look.why,
            mistake=look.mistake if broken else "",
        )
    other = next((fault for fault in found if fault.rule in OTHER_RULES), None)
    yield CheckFinding(
        "None of the other rules is broken.",
        other is None,
        sent=f"the file, read by the rules {', '.join(OTHER_RULES)}",
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
        for instruction in stage.instructions:
            if instruction.line == fault.line:
                said = f"line {instruction.line}, {instruction.keyword} {instruction.value}"
                return said if len(said) < LONGEST_QUOTE else said[:LONGEST_QUOTE] + " …"
    return f"line {fault.line}"
