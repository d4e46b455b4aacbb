"""Errors that are meant for people: one sentence of what was wrong, and what to do next."""

from __future__ import annotations


class LabError(Exception):
    """Something a person can mend. The command line prints the message and exits with 1, without a traceback."""


class Damaged(LabError):
    """A file the service rests on is missing, changed or unreadable."""


class StoreUnavailable(LabError):
    """The online store did not answer. The caller may try again."""


class Refused(LabError):
    """A request that must not be answered. The API turns it into a 422 problem document.

    Args:
        field: where in the request the fault lies, such as ``"overrides.wind_speed"``.
        detail: what was wrong with it.
        allowed: what would have been accepted.
    """

    def __init__(self, field: str, detail: str, allowed: object) -> None:
        super().__init__(f"{field}: {detail}; allowed: {allowed}")
        self.field = field
        self.detail = detail
        self.allowed = allowed

    def among(self, number: int) -> Refused:
        """The same fault, of flight ``number`` of many."""
        return Refused(f"flights.{number}.{self.field}", self.detail, self.allowed)
