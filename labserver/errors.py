"""Errors with a message for people: one sentence on what was wrong, and what to do next."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

NOT_USABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
"""Faults of a file or a folder that the user can fix, whichever one it is."""


class LabError(Exception):
    """A problem that a person can fix. The command line prints the message and exits with 1, without a traceback."""


class Damaged(LabError):
    """A file that the service needs is missing, changed or unreadable."""


class StoreUnavailable(LabError):
    """The online store did not answer. The caller can try again."""


class Refused(LabError):
    """A rejected request. The API turns it into a 422 problem document.

    Args:
        field: the field at fault, such as ``"overrides.wind_speed"``.
        detail: what is wrong with it.
        allowed: the values that are accepted.
    """

    def __init__(self, field: str, detail: str, allowed: object) -> None:
        super().__init__(f"{field}: {detail}; allowed: {allowed}")
        self.field = field
        self.detail = detail
        self.allowed = allowed

    def in_batch(self, number: int) -> Refused:
        """The same fault, for flight ``number`` of a batch."""
        return Refused(f"flights.{number}.{self.field}", self.detail, self.allowed)


@contextmanager
def naming_files(remedy: str = "") -> Iterator[None]:
    """Turn a file or a folder that this user cannot use into one sentence, wherever it is met in the block.

    Args:
        remedy: more to do, after what helps with every file.

    Raises:
        LabError: in place of the system's error; names the file and says what to do.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None or error.errno not in NOT_USABLE:
            raise
        raise LabError(
            f"{error.filename} cannot be used ({error.strerror}). Make room, give this user the right to read and "
            f"write there, or set LABSERVER_HOME to a folder elsewhere and run `labserver build`.{remedy}"
        ) from None
