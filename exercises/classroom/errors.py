"""Errors that a person can fix, as one sentence. The classroom is independent of the service and its errors."""

from __future__ import annotations


class ClassroomError(Exception):
    """The command line prints the message and exits with 1."""


class Away(ClassroomError):
    """The board did not answer, or not in time. A later try can succeed."""


class RefusedByBoard(ClassroomError):
    """The board rejected the request.

    Args:
        status: of HTTP.
        detail: the board's own words.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
