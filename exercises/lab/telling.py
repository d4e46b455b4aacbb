"""Output of a running check: its first line at once, each finding as it comes, a message every few seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from exercises.checks.registry import Exercise
from exercises.checks.result import CheckFinding
from exercises.lab.shown import found_lines
from labserver.running.signs import ticking


class Audience(Protocol):
    """Receives the events of a check."""

    def during(self, exercise: Exercise) -> AbstractContextManager[None]:
        """The check runs for as long as the block."""

    def found(self, finding: CheckFinding) -> None:
        """A finding was made."""

    def step(self, text: str) -> None:
        """A step begins that can take long."""


class Silent:
    """An audience that ignores all events."""

    def during(self, exercise: Exercise) -> AbstractContextManager[None]:
        """Nothing is said."""
        return nullcontext()

    def found(self, finding: CheckFinding) -> None:
        """Nothing is said."""

    def step(self, text: str) -> None:
        """Nothing is said."""


SILENT = Silent()


class LinePrinter:
    """An audience that prints lines."""

    def __init__(self, write: Callable[[str], None], *, everything: bool = False) -> None:
        """``everything``: in full for each finding that did not pass, not only for the first."""
        self._write, self._everything = write, everything
        self._failed = False

    @contextmanager
    def during(self, exercise: Exercise) -> Iterator[None]:
        """Print what is checked, and every few seconds for how long."""
        self._failed = False
        self._write(f"Checking lesson {exercise.lesson}: {exercise.title} ...")
        with ticking(lambda seconds: self._write(f"  ... {seconds:.0f} s")):
            yield

    def found(self, finding: CheckFinding) -> None:
        """In full if it is the first that did not pass."""
        in_full = not finding.passed and (self._everything or not self._failed)
        self._failed = self._failed or not finding.passed
        for line in found_lines(finding, in_full=in_full):
            self._write(line)

    def step(self, text: str) -> None:
        """One line."""
        self._write(f"  ... {text}")
