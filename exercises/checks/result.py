"""The result of a check, for terminal, notebook, grading and board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """The four outcomes of a check. The first three are about the learner's file, the last one about the machine."""

    NOT_ATTEMPTED = "not attempted"
    NOT_YET = "not yet"
    SOLVED = "solved"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class CheckFinding:
    """The result of one test of a learner's code.

    Attributes:
        what: the test, as a sentence that is true if it passes: "A changed byte is refused."
        passed: true if it passed.
        sent: the check's input.
        received: the output.
        expected: the right output.
        why: why it matters to the person on call.
        mistake: a short name of a known mistake: "hour-in-utc". Boards count these.
    """

    what: str
    passed: bool
    sent: str = ""
    received: str = ""
    expected: str = ""
    why: str = ""
    mistake: str = ""


@dataclass(frozen=True)
class Result:
    """All of a check.

    Attributes:
        lesson: 0 to 9.
        state: the outcome.
        findings: in the order in which they were tried; the first that did not pass is the next thing to fix.
        score: such as "7 of 9 bugs caught", where pass or fail is too coarse.
        seconds: how long it took.
        reason: why it could not be judged, and what to do; empty for the other outcomes.
    """

    lesson: int
    state: State
    findings: tuple[CheckFinding, ...] = ()
    score: str = ""
    seconds: float = 0.0
    reason: str = ""

    @property
    def next(self) -> CheckFinding | None:
        """The first finding that did not pass, which is to be fixed first."""
        return next((finding for finding in self.findings if not finding.passed), None)

    def to_json(self) -> dict[str, Any]:
        """The result as JSON, for ``lab check --json``, files and boards."""
        return asdict(self) | {"state": self.state.value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Result:
        """The inverse of :meth:`to_json`."""
        findings = tuple(CheckFinding(**finding) for finding in data["findings"])
        known = {one.name: data[one.name] for one in fields(cls) if one.name in data}  # older files have other fields
        return cls(**{**known, "state": State(data["state"]), "findings": findings})
