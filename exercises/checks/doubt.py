"""Failures that can be the fault of the learner's code or of the machine.

A check runs beside the learner's code, so it does not decide that itself. It raises :class:`Doubtful`, and the process
that started it finds out (:mod:`exercises.lab.control`).
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from exercises.checks.result import CheckFinding

NO_END = "your code may have no end"
TOO_SLOW = "your code may be too slow"

ISOLATED = "LAB_ISOLATED"
"""Variable that is set where a check has a network of its own (Linux)."""

KILLED_FROM_OUTSIDE = (
    "the process was killed from outside (SIGKILL), as a system does that has no memory left. Close other programs, "
    "then run it again. If it stays so, your code may need too much memory"
)


@dataclass(frozen=True)
class Patience:
    """Seconds to wait.

    Attributes:
        answer: for the answer to a request.
        ready: for a service to become ready.
    """

    answer: float = 20.0
    ready: float = 60.0


USUAL_PATIENCE = Patience()


@dataclass(frozen=True)
class ServiceQuestion:
    """A request to a running service, so that the same can be sent to the course's own.

    Attributes:
        lesson: the stage.
        workers: worker processes.
        settings: any of :class:`labserver.settings.Settings`, as text.
        method: of the request; empty if the service never became ready.
        path: of the request.
        body: its JSON.
    """

    lesson: int
    workers: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)
    method: str = ""
    path: str = ""
    body: Any = None


@dataclass(frozen=True)
class Doubt:
    """A failure that is perhaps the machine's.

    Attributes:
        seen: what happened, such as "no answer within 20 s".
        finding: the finding if it is the learner's.
        question: the request to a service; None if something else failed.
        suspicion: the probable cause if it happens each time.
    """

    seen: str
    finding: CheckFinding
    question: ServiceQuestion | None = None
    suspicion: str = NO_END

    def to_json(self) -> dict[str, Any]:
        """The failure for the report."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Doubt:
        """The inverse of :meth:`to_json`."""
        question = ServiceQuestion(**data["question"]) if data["question"] else None
        return cls(data["seen"], CheckFinding(**data["finding"]), question, data["suspicion"])


class Doubtful(Exception):
    """Ends a check: the cause has to be found out."""

    def __init__(self, doubt: Doubt) -> None:
        super().__init__(doubt.seen)
        self.doubt = doubt


class Unjudged(Exception):
    """Ends a check: something failed that is not the learner's. Says what, and what to do, without a full stop."""


def in_time(findings: Iterable[CheckFinding], suspicion: str = TOO_SLOW) -> Iterator[CheckFinding]:
    """Findings that a busy machine spoils, such as a p99. Doubtful if one does not pass."""
    for found in findings:
        if not found.passed:
            raise Doubtful(Doubt(f"“{found.what.rstrip('.')}” did not hold ({found.received})", found, None, suspicion))
        yield found


def machines_fault(error: BaseException) -> str:
    """A message about an exception that the machine caused, whatever the code; empty for all others."""
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return "the system has no memory left to start a process. Close other programs, then run it again"
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    said = str(error).lower()
    if full or "no space left on device" in said or "database or disk is full" in said:
        return f"the disk is full ({' '.join(str(error).split())[:200]}). Make room, then run it again"
    return ""
