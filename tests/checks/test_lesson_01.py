"""Lesson 1's check: what it lets pass and what it does not, by reading; and that a running image is judged for real."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from engines import engine_alone
from needed import absent
from services import own_home

from exercises.checks import images, stopping
from exercises.checks.attempt import Attempt
from exercises.checks.containerfile import parse
from exercises.checks.doubt import ISOLATED, Doubtful
from exercises.checks.lesson_01 import check
from exercises.checks.registry import exercise_of
from exercises.checks.result import CheckFinding
from labserver.running.engine import find_engine
from labserver.settings import Settings

SOLUTION = exercise_of(1).solution.read_text()
ENTRY = 'ENTRYPOINT ["python", "-m", "labserver.cli", "serve"]'
CHOWN = "mkdir /srv/gates/var/state && chown 10001:10001 /srv/gates/var/state"
HEALTH = (
    """CMD ["python", "-c", "import urllib.request as u; """
    """u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:9000/healthz', timeout=2)"]"""
)
OPTIONS = "--interval=10s --timeout=3s --start-period=10s --retries=3 "
AS_SHIPPED = (Path(__file__).parents[2] / "labserver/deploy/Containerfile").read_text()

Attempted = Callable[[str], Attempt]


@pytest.fixture
def attempted(home: Path, tmp_path: Path) -> Attempted:
    """An attempt with a text as the learner's file."""

    def attempt(text: str) -> Attempt:
        file = tmp_path / "lesson_01.Containerfile"
        file.write_text(text)
        return Attempt(1, file, Settings(home=own_home(home, tmp_path / "home")))

    return attempt


def failed(attempt: Attempt) -> list[CheckFinding]:
    return [found for found in check(attempt) if isinstance(found, CheckFinding) and not found.passed]


def spoilt(old: str, new: str) -> str:
    assert old in SOLUTION
    return SOLUTION.replace(old, new)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (spoilt(ENTRY, 'ENTRYPOINT ["sh", "-c", "python -m labserver.cli serve"]'), "shell-form"),
        (spoilt(ENTRY, 'ENTRYPOINT ["python", "-m", "http.server", "9000"]'), "starts-something-else"),
        (spoilt("python:3.12-slim", "python"), "floating-versions"),
        (spoilt("LABSERVER_PORT=9000", "PORT=9000"), "other-port"),
        (spoilt("LABSERVER_HOST=0.0.0.0", "LABSERVER_HOST=127.0.0.1"), "other-layout"),
        (spoilt("USER 10001:10001", "USER nobody"), "user-by-name"),
        (spoilt("LABSERVER_HOME=/srv/gates/var", "LABSERVER_HOME=~/gates/var"), "path-of-one-machine"),
        (spoilt(HEALTH, "NONE").replace(OPTIONS, ""), "no-health-check"),
        (spoilt(HEALTH, "CMD curl -f http://127.0.0.1:9000/healthz"), "health-check-without-its-program"),
        (spoilt("9000/healthz", "9000/readyz"), "health-check-asks-something-else"),
        (spoilt("9000/healthz", "8000/healthz"), "health-check-at-another-port"),
        (spoilt("COPY labserver /srv", "COPY . /srv"), "no-whole-context"),
        (spoilt("COPY labserver/deploy/requirements.txt", "COPY lock.txt"), "lock-not-installed"),
        (AS_SHIPPED, "other-port"),
        ("FRM python:3.12-slim\n", "not-a-containerfile"),
    ],
    ids=lambda value: value if len(value) < 40 else "",
)
def test_what_only_looks_repaired_is_named(
    text: str, mistake: str, attempted: Attempted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ISOLATED, "1")
    assert failed(attempted(text))[0].mistake == mistake


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (ENTRY, 'ENTRYPOINT ["sh", "-c", "exec python -m labserver.cli serve"]'),
        (ENTRY, 'CMD ["python", "-m", "labserver.cli", "serve"]'),
        (f"{ENTRY}", 'ENTRYPOINT ["python", "-m", "labserver.cli", "serve", "--port", "9000"]'),
        (CHOWN, "install -d -o 10001 -g 10001 /srv/gates/var/state"),
        (HEALTH, HEALTH.replace('["python", "-c", "', 'python -c "').replace('"]', '"')),
        (":9000/healthz'", ":' + os.environ['LABSERVER_PORT'] + '/healthz'"),
        ("python:3.12-slim", "python:3.13-slim@sha256:" + "0" * 64),
    ],
)
def test_another_way_to_write_it_passes(
    old: str, new: str, attempted: Attempted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ISOLATED, "1")
    assert failed(attempted(spoilt(old, new))) == []


def test_without_an_engine_it_is_read_and_the_check_says_so(
    attempted: Attempted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ENGINE", raising=False)
    monkeypatch.setenv("PATH", "")
    *_, last = check(attempted(SOLUTION))
    assert isinstance(last, CheckFinding)
    assert (last.passed, last.received) == (True, "not tried: no container engine")


def ran(attempt: Attempt) -> list[CheckFinding]:
    """The findings of building and running a file, without those of reading it."""
    engine = find_engine() or absent("There is no container engine here. Install podman or docker.")
    base = parse(attempt.file.read_text()).final.base
    if engine.run("image", "inspect", os.environ.get("BASE_IMAGE") or base).returncode:
        absent(f"The base image {base} is not here. Run `{engine.name} pull {base}`, or set BASE_IMAGE to one that is.")
    found: list[CheckFinding] = []
    try:
        with engine_alone():
            for one in images.built_and_run(attempt, base):
                found += [one] if isinstance(one, CheckFinding) else []
    except Doubtful as doubtful:  # as on an idle machine
        found.append(doubtful.doubt.finding)
    return found


@pytest.mark.slow
@pytest.mark.ci
def test_a_shell_as_process_1_loses_requests_that_run(attempted: Attempted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "GRACE_SECONDS", 2)
    findings = ran(attempted(spoilt(ENTRY, "ENTRYPOINT python -m labserver.cli serve; true")))
    assert [finding.mistake for finding in findings if not finding.passed] == ["process-1", "requests-lost"]


@pytest.mark.slow
@pytest.mark.ci
def test_an_image_that_may_not_write_its_state_is_quoted(attempted: Attempted) -> None:
    [*_, last] = ran(attempted(spoilt(CHOWN, "mkdir /srv/gates/var/state")))
    assert last.mistake == "does-not-start"
    assert "/srv/gates/var/state" in last.received


@pytest.mark.slow
@pytest.mark.ci
def test_a_build_that_fails_is_quoted(attempted: Attempted) -> None:
    [built] = ran(attempted(spoilt("RUN chmod -R", "RUN echo so much for that && false && chmod -R")))
    assert (built.passed, built.mistake) == (False, "does-not-build")
    assert "so much for that" in built.received
