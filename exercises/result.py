"""What a check found, in a form that terminal, notebook, grading and board all show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """The three outcomes of a check."""

    NOT_ATTEMPTED = "not attempted"
    NOT_YET = "not yet"
    SOLVED = "solved"


@dataclass(frozen=True)
class Finding:
    """One thing that was tried with a learner's code.

    Attributes:
        what: what was tried, as a sentence that is true when it works: "A changed byte is refused."
        passed: whether it did.
        sent: what the check gave.
        received: what came back.
        expected: what should have.
        why: why it matters to whoever is on call.
        mistake: a short name of the mistake, where it is a known one: "hour-in-utc". Boards count these.
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
        findings: in the order in which they were tried; the first that did not pass is the next thing to mend.
        score: such as "7 of 9 bugs caught", where pass or fail is too coarse.
        borrowed: earlier lessons whose parts were the course's own in this check.
        seconds: how long it took.
    """

    lesson: int
    state: State
    findings: tuple[Finding, ...] = ()
    score: str = ""
    borrowed: tuple[int, ...] = field(default=())
    seconds: float = 0.0

    @property
    def next(self) -> Finding | None:
        """What to mend first."""
        return next((finding for finding in self.findings if not finding.passed), None)

    def to_json(self) -> dict[str, Any]:
        """For ``lab check --json``, files and boards."""
        return asdict(self) | {"state": self.state.value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Result:
        """The inverse of :meth:`to_json`."""
        findings = tuple(Finding(**finding) for finding in data["findings"])
        return cls(**{**data, "state": State(data["state"]), "findings": findings, "borrowed": tuple(data["borrowed"])})
