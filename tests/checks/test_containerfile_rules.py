"""The rules over Containerfiles, tried on ours: whole it breaks none, and each way of spoiling it breaks one."""

from __future__ import annotations

from pathlib import Path

import pytest

from exercises.checks.containerfile import parse
from exercises.checks.containerfile_rules import RULES, faults
from labserver.errors import LabError

TEXT = (Path(__file__).parents[2] / "labserver/deploy/Containerfile").read_text()
ENTRY = 'ENTRYPOINT ["python", "-m", "labserver.cli", "serve"]'

# What is replaced, by what, the rule it breaks, words of the message. Rules of a missing line have no place to look at.
SPOILT = [
    (":3.12-slim", "", "pinned-base", "names no version"),
    (":3.12-slim", ":latest", "pinned-base", "names no version"),
    ("COPY --from=builder ", "COPY --from=docker.io/acme/built:1 ", "several-stages", "one stage"),
    ("--require-hashes ", "", "hashed-requirements", "--require-hashes"),
    ("--requirement /build/requirements.txt", "fastapi", "", ""),
    ("COPY labserver/deploy/requirements.txt", "COPY requirements.txt", "serving-only", "requirements.txt brings in"),
    ("--requirement /build/", "pandas --requirement /build/", "serving-only", "pandas brings in"),
    ("--requirement /build/", "labserver[build,lab] --requirement /build/", "serving-only", "labserver[build,lab]"),
    ("COPY --from=bundle . ", "COPY /home/ada/bundle ", "no-path-of-one-machine", "/home/ada/bundle exists"),
    ("LABSERVER_HOME=/app/var", "LABSERVER_HOME=/Users/ada/var", "no-path-of-one-machine", "/Users/ada/var exists"),
    ("COPY labserver /app", "COPY . /app", "no-whole-context", "whole build context"),
    (
        "COPY --from=bundle . ",
        "ADD https://example.com/bundle.tar ",
        "no-fetched-file",
        "https://example.com/bundle.tar",
    ),
    ("LABSERVER_HOME=", "LABSERVER_API_KEY=s3cret LABSERVER_HOME=", "no-secret", "LABSERVER_API_KEY"),
    ("USER 10001:10001", "", "not-root", "runs as root"),
    ("USER 10001:10001", "USER 10001\nUSER root", "not-root", "runs as root"),
    (ENTRY, "ENTRYPOINT python -m labserver.cli serve", "exec-form", "ENTRYPOINT is a line for a shell"),
    (ENTRY, "CMD python -m labserver.cli serve", "exec-form", "CMD is a line for a shell"),
    (ENTRY, 'ENTRYPOINT ["sh", "-c", "python -m labserver.cli serve"]', "exec-form", "ENTRYPOINT starts a shell"),
    (ENTRY, 'ENTRYPOINT ["sh", "-c", "exec python -m labserver.cli serve"]', "", ""),
    (ENTRY, "", "exec-form", "Nothing says what to run"),
    ("HEALTHCHECK ", "# ", "health-check", "Nothing asks"),
    (ENTRY, f"HEALTHCHECK NONE\n{ENTRY}", "health-check", "Nothing asks"),
]


def test_ours_breaks_no_rule() -> None:
    assert faults(TEXT) == []


@pytest.mark.parametrize(("old", "new", "rule", "words"), SPOILT, ids=[f"{s[2] or 'allowed'}-{s[1]}" for s in SPOILT])
def test_each_way_of_spoiling_it_is_named_with_its_line(old: str, new: str, rule: str, words: str) -> None:
    assert old in TEXT
    text = TEXT.replace(old, new)
    found = faults(text)
    assert {fault.rule for fault in found} == ({rule} if rule else set())
    for fault in found:
        assert words in fault.message
        line = text.splitlines()[fault.line - 1]
        assert line.startswith(("ARG", "FROM", "RUN", "COPY", "ADD", "ENV", "USER", "CMD", "ENTRYPOINT", "HEALTHCHECK"))


def test_every_rule_is_tried() -> None:
    assert {rule for _, _, rule, _ in SPOILT} - {""} == set(RULES)


def test_a_stage_may_continue_another_and_inherits_from_it() -> None:
    text = TEXT.replace("\n\nFROM ${BASE_IMAGE}\n", "\n\nFROM ${BASE_IMAGE} AS served\n") + "\nFROM served\nLABEL a=b\n"
    assert faults(text) == []
    assert [fault.rule for fault in faults(text + "USER 0\n")] == ["not-root"]


def test_the_parser_follows_continued_lines_comments_and_here_documents() -> None:
    file = parse(
        "# comment\nARG BASE=python:3.12\nfrom $BASE as one\n"
        "RUN pip \\\n  # inside\n\n  install \\\n  . --no-deps\n"
        'RUN <<EOF\npip install a\nEOF\nCOPY --chown=1:1 --from=one ["a b", "/c/"]\n'
    )
    [stage] = file.stages
    assert (stage.base, stage.name) == ("python:3.12", "one")
    run, here, copy = stage.instructions
    assert (run.line, run.commands) == (4, [["pip", "install", ".", "--no-deps"]])
    assert (here.line, here.commands[1:]) == (9, [["pip", "install", "a"]])
    assert (copy.line, copy.flags, copy.words) == (12, {"chown": "1:1", "from": "one"}, ["a b", "/c/"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no FROM"),
        ("RUN true\nFROM python:3.12\n", "line 1: RUN before FROM"),
        ("FROM python:3.12\n\nRUNN true\n", "line 3: 'RUNN' is no instruction"),
        ("FROM python:3.12 AS\n", "line 1: write FROM as"),
        ("FROM\n", "line 1: write FROM as"),
    ],
)
def test_what_is_no_containerfile_is_refused_by_its_line(text: str, words: str) -> None:
    with pytest.raises(LabError, match=words):
        faults(text)
