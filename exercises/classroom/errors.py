"""What a person can mend, as one sentence. No error of the service's: the classroom stands alone."""

from __future__ import annotations


class ClassroomError(Exception):
    """The command line prints the message and exits with 1."""


class Away(ClassroomError):
    """The board did not answer, or not in time. Trying again later may help."""


class Refused(ClassroomError):
    """The board answered, and said no.

    Args:
        status: of HTTP.
        detail: the board's own words.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
