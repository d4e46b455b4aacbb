"""Locks on a home folder. The kernel lets go of them when their process ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from labserver.errors import LabError

Report = Callable[[str], None]


@contextmanager
def held(file: Path, report: Report, busy: str) -> Iterator[None]:
    """Hold a lock. If another process has it, report ``busy`` and wait.

    Raises:
        LabError: if the folder takes no files.
    """
    lock = FileLock(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            report(busy)
            lock.acquire()
    except OSError as error:
        raise LabError(
            f"{file.parent} takes no files ({error.strerror or error}). Give this user the right to write there, or "
            "set LABSERVER_HOME to a folder elsewhere."
        ) from None
    try:
        yield
    finally:
        lock.release()
